// The queue of requests: groups of like shape, in each the more important first and then the older.
import { type PendingRequest, PRIORITIES, type Priority } from './request.js'

const rankOf = (priority: Priority): number => PRIORITIES.indexOf(priority)

/** Requests that may be in one batch. Sets keep the order of arrival and let any request leave at once. */
class Group<T> {
  private readonly lanes: readonly Set<PendingRequest<T>>[] = PRIORITIES.map(() => new Set())
  size = 0

  add(request: PendingRequest<T>): void {
    this.lane(request.priority).add(request)
    this.size++
  }

  remove(request: PendingRequest<T>): boolean {
    const found = this.lane(request.priority).delete(request)
    if (found) this.size--
    return found
  }

  lane(priority: Priority): Set<PendingRequest<T>> {
    return this.lanes[rankOf(priority)] as Set<PendingRequest<T>>
  }

  /** The first of each lane, the more important first. */
  private *firsts(): Generator<PendingRequest<T>> {
    for (const lane of this.lanes) {
      const [first] = lane
      if (first) yield first
    }
  }

  /** The one that goes first. */
  get leader(): PendingRequest<T> | undefined {
    return this.firsts().next().value ?? undefined
  }

  /** When the one that waits longest came. */
  get oldest(): number {
    return Math.min(...[...this.firsts()].map(({ cameAt }) => cameAt))
  }

  take(most: number): PendingRequest<T>[] {
    const taken: PendingRequest<T>[] = []
    for (const lane of this.lanes)
      for (const request of lane) {
        if (taken.length === most) return taken
        this.remove(request)
        taken.push(request)
      }
    return taken
  }
}

export class RequestQueue<T> {
  private readonly groups = new Map<string, Group<T>>()
  length = 0

  add(request: PendingRequest<T>): void {
    const { key } = request.sample
    let group = this.groups.get(key)
    if (!group) this.groups.set(key, (group = new Group()))
    group.add(request)
    this.length++
  }

  /** Takes a request out wherever it stands. */
  remove(request: PendingRequest<T>): void {
    const { key } = request.sample
    const group = this.groups.get(key)
    if (!group?.remove(request)) return
    this.length--
    if (group.size === 0) this.groups.delete(key)
  }

  /** The youngest of the least important requests that are less important than `priority`. */
  lessImportantThan(priority: Priority): PendingRequest<T> | undefined {
    for (const lower of PRIORITIES.slice(rankOf(priority) + 1).reverse()) {
      let youngest: PendingRequest<T> | undefined
      for (const group of this.groups.values())
        for (const request of group.lane(lower)) if (!youngest || request.cameAt >= youngest.cameAt) youngest = request
      if (youngest) return youngest
    }
    return undefined
  }

  /**
   * The requests of the next batch, at most `most`, or how many milliseconds there are until one may go: a group goes when
   * it fills a batch or its oldest request has waited `delayMs`; of several, the one with the more important, then older
   * leader.
   */
  next(most: number, delayMs: number, now: number): PendingRequest<T>[] | number | undefined {
    let best: Group<T> | undefined
    let wait: number | undefined
    for (const group of this.groups.values()) {
      const left = group.size >= most ? 0 : group.oldest + delayMs - now
      if (left > 0) wait = Math.min(wait ?? left, left)
      else if (!best || goesBefore(group.leader, best.leader)) best = group
    }
    if (!best) return wait
    const { key } = (best.leader as PendingRequest<T>).sample
    const taken = best.take(most)
    this.length -= taken.length
    if (best.size === 0) this.groups.delete(key)
    return taken
  }

  /** Everything that waits; the queue is empty afterwards. */
  takeAll(): PendingRequest<T>[] {
    const all = [...this.groups.values()].flatMap((group) => group.take(group.size))
    this.groups.clear()
    this.length = 0
    return all
  }
}

function goesBefore<T>(a: PendingRequest<T> | undefined, b: PendingRequest<T> | undefined): boolean {
  if (!a || !b) return a !== undefined
  const [first, second] = [rankOf(a.priority), rankOf(b.priority)]
  return first === second ? a.cameAt < b.cameAt : first < second
}
