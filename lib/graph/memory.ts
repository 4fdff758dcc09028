// Memory planning: from the life of each block to its offset in one arena.

/** A block of the arena, alive from the step that writes it to the last one that reads it, both included. */
export interface Block {
  readonly bytes: number
  readonly first: number
  readonly last: number
}

const ALIGNMENT = 64
const align = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT

const overlap = (a: Block, b: Block): boolean => a.first <= b.last && b.first <= a.last

interface Placed {
  readonly block: Block
  readonly offset: number
}

/** The position of the first block above an offset. */
function firstAbove(placed: readonly Placed[], offset: number): number {
  let low = 0
  let high = placed.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((placed[middle] as Placed).offset <= offset) low = middle + 1
    else high = middle
  }
  return low
}

/** Puts each block, in the given order, into the tightest gap between those alive at the same time. */
function placeInOrder(blocks: readonly Block[]): Map<Block, number> {
  /** By offset. */
  const placed: Placed[] = []
  const offsets = new Map<Block, number>()
  for (const block of blocks) {
    const wanted = align(block.bytes)
    let best = -1
    let bestGap = Number.POSITIVE_INFINITY
    let end = 0
    for (const other of placed) {
      if (!overlap(other.block, block)) continue
      const gap = other.offset - end
      if (gap >= wanted && gap < bestGap) {
        best = end
        bestGap = gap
      }
      end = Math.max(end, other.offset + align(other.block.bytes))
    }
    const offset = best >= 0 ? best : end
    placed.splice(firstAbove(placed, offset), 0, { block, offset })
    offsets.set(block, offset)
  }
  return offsets
}

const extentOf = (offsets: ReadonlyMap<Block, number>): number =>
  [...offsets].reduce((most, [block, offset]) => Math.max(most, offset + align(block.bytes)), 0)

/** The largest sum of bytes alive at one step: no arrangement needs less. */
export function largestLiveBytes(blocks: readonly Block[]): number {
  const changes = new Map<number, number>()
  for (const { bytes, first, last } of blocks) {
    changes.set(first, (changes.get(first) ?? 0) + align(bytes))
    changes.set(last + 1, (changes.get(last + 1) ?? 0) - align(bytes))
  }
  let live = 0
  let most = 0
  for (const [, change] of [...changes].sort(([a], [b]) => a - b)) {
    live += change
    most = Math.max(most, live)
  }
  return most
}

type Arrangement = { readonly offsets: Map<Block, number>; readonly bytes: number }

/** Attempts at a better order, fewer where there are so many blocks that they would take seconds. */
const attemptsAt = (blocks: number): number => Math.min(48, Math.ceil(4e7 / (blocks * blocks + 1)))
/** How close to the bound an arrangement is good enough. */
const CLOSE = 1.01

/**
 * Places the blocks that reach the top of the arena first from now on, as long as that may help: they are those for
 * which the order left no gap.
 */
function improve(order: readonly Block[], start: Arrangement, bound: number): Arrangement {
  let best = start
  let arranged = start
  let blocks = order
  for (let attempt = 0; attempt < attemptsAt(blocks.length) && best.bytes > bound * CLOSE; attempt++) {
    const { offsets, bytes } = arranged
    const top = new Set(blocks.filter((block) => (offsets.get(block) as number) + align(block.bytes) === bytes))
    blocks = [...top, ...blocks.filter((block) => !top.has(block))]
    arranged = arrange(blocks)
    if (arranged.bytes < best.bytes) best = arranged
  }
  return best
}

function arrange(order: readonly Block[]): Arrangement {
  const offsets = placeInOrder(order)
  return { offsets, bytes: extentOf(offsets) }
}

/**
 * Offsets for all blocks and the arena they need. Greedy by size, by life, by both and by start (Pisarchyk and Lee 2020,
 * "Efficient Memory Management for Deep Neural Net Inference"), each order mended where it ends above the bound; the
 * smallest arena is taken.
 */
export function placeBlocks(blocks: readonly Block[]): { offsets: Map<Block, number>; bytes: number } {
  const life = (block: Block): number => block.last - block.first
  const orders = [
    [...blocks].sort((a, b) => b.bytes - a.bytes || a.first - b.first),
    [...blocks].sort((a, b) => life(b) - life(a) || b.bytes - a.bytes),
    [...blocks].sort((a, b) => b.bytes * (life(b) + 1) - a.bytes * (life(a) + 1) || a.first - b.first),
    [...blocks].sort((a, b) => a.first - b.first || b.bytes - a.bytes),
  ]
  const bound = largestLiveBytes(blocks)
  const arranged = orders
    .map((order) => ({ order, start: arrange(order) }))
    .sort((a, b) => a.start.bytes - b.start.bytes)
  let best = (arranged[0] as { start: Arrangement }).start
  for (const { order, start } of arranged) {
    if (best.bytes <= bound * CLOSE) break
    const found = improve(order, start, bound)
    if (found.bytes < best.bytes) best = found
  }
  return best
}
