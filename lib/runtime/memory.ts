// Who holds memory: snapshots of every buffer there is, and what one has that another had not, which is how leaks show.
import { describe } from '../schema/describe.js'
import type { DeviceStatistics } from './binding.js'
import { listDevices } from './device.js'
import { ArgumentError } from './errors.js'
import { type LedgerEntry, ledger, recordSites } from './ledger.js'

/** Device memory that this thread's tensors, cells and results hold at one moment. */
export interface MemorySnapshot {
  /** By number, which no other buffer ever has, oldest first. */
  readonly buffers: ReadonlyMap<number, LedgerEntry>
  /** Of all buffers. */
  readonly bytes: number
  /** What each device's pool says of all threads; what is not in `buffers` are arenas, caches and workspaces. */
  readonly devices: Readonly<Record<string, DeviceStatistics>>
}

/** Buffers that were made alike. */
export interface MemoryGroup {
  readonly label: string
  /** Where they were made, when `memory.recordSites(true)` was called before. */
  readonly site: string | undefined
  /** How many more there are than before, or fewer where negative, and their bytes. */
  readonly count: number
  readonly bytes: number
}

/** What has changed between two snapshots. */
export interface MemoryDifference {
  readonly count: number
  readonly bytes: number
  /** By label and site, what grew most first. Those of which as many came as went are left out. */
  readonly groups: readonly MemoryGroup[]
  /** A table of them. */
  toString(): string
}

function snapshot(): MemorySnapshot {
  const buffers = ledger()
  return {
    buffers,
    bytes: [...buffers.values()].reduce((sum, { bytes }) => sum + bytes, 0),
    devices: Object.fromEntries(listDevices().map((device) => [device.name, device.memory()])),
  }
}

const isSnapshot = (value: unknown): value is MemorySnapshot =>
  value !== null && typeof value === 'object' && (value as MemorySnapshot).buffers instanceof Map

function diff(before: MemorySnapshot, after: MemorySnapshot): MemoryDifference {
  for (const given of [before, after])
    if (!isSnapshot(given)) throw new ArgumentError(`memory.diff: it takes two snapshots, not ${describe(given)}`)
  const groups = new Map<string, { label: string; site: string | undefined; count: number; bytes: number }>()
  const note = ({ label, site, bytes }: LedgerEntry, sign: 1 | -1): void => {
    const key = `${label}\n${site}`
    const group = groups.get(key) ?? { label, site, count: 0, bytes: 0 }
    group.count += sign
    group.bytes += sign * bytes
    groups.set(key, group)
  }
  for (const [number, entry] of after.buffers) if (!before.buffers.has(number)) note(entry, 1)
  for (const [number, entry] of before.buffers) if (!after.buffers.has(number)) note(entry, -1)
  const changed = [...groups.values()]
    .filter(({ count, bytes }) => count !== 0 || bytes !== 0)
    .sort((a, b) => b.bytes - a.bytes || b.count - a.count)
  const count = after.buffers.size - before.buffers.size
  const bytes = after.bytes - before.bytes
  return { count, bytes, groups: changed, toString: () => table(count, bytes, changed) }
}

const signed = (value: number): string => (value > 0 ? `+${value}` : String(value))

function table(count: number, bytes: number, groups: readonly MemoryGroup[]): string {
  const lines = groups.map(
    (group) =>
      `  ${signed(group.bytes)} bytes  ${signed(group.count)}  ${group.label}${group.site ? `  ${group.site}` : ''}`,
  )
  return [`${signed(count)} buffers, ${signed(bytes)} bytes`, ...lines].join('\n')
}

/**
 * Finds leaks: take a snapshot, do what should leave nothing behind, take another and look at the difference.
 *
 * @example
 * memory.recordSites(true)
 * const before = memory.snapshot()
 * await handle(request)
 * console.log(String(memory.diff(before, memory.snapshot())))
 */
export const memory = {
  /** Every buffer that this thread holds, and what the devices say. */
  snapshot,
  /** What `after` has more or less than `before`, by label and place. */
  diff,
  /** Whether buffers made from now on remember the line of the program that made them; costs some microseconds for each. */
  recordSites,
} as const
