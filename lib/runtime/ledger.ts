// The ledger of device memory that JavaScript holds: what each buffer is, since when, and, when asked for, who made it.

/** A buffer that was made and not freed. */
export interface LedgerEntry {
  readonly label: string
  readonly bytes: number
  readonly device: string
  /** When it was made, in milliseconds on the clock of `performance.now()`. */
  readonly since: number
  /** The line that made it: the first one outside of heddle, where sites are recorded. */
  readonly site: string | undefined
}

const entries = new Map<number, LedgerEntry>()
let made = 0
let withSites = false

/** Whether new entries have the line that made them. That costs some microseconds for each. */
export function recordSites(on: boolean): void {
  withSites = on
}

/** The folder of heddle's own files, in `dist` as in the sources; none in a bundle whose files have no address. */
const OWN = import.meta.url ? [new URL('..', import.meta.url).href] : []

/** The first line of the stack that is not heddle's own nor Node's. */
function callSite(): string | undefined {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 50
  const lines = (new Error().stack ?? '').split('\n').slice(1)
  Error.stackTraceLimit = stackTraceLimit
  const own = OWN.flatMap((folder) => [folder, folder.replace('file://', '')])
  const line = lines.find((text) => !own.some((folder) => text.includes(folder)) && !text.includes('node:internal'))
  return line?.trim().replace(/^at /, '')
}

/** Enters a buffer; its number is for `leave`. */
export function enter(device: string, bytes: number, label: string): number {
  entries.set(++made, { label, bytes, device, since: performance.now(), site: withSites ? callSite() : undefined })
  return made
}

/** Takes out a buffer that was freed. */
export function leave(entry: number): void {
  entries.delete(entry)
}

/** What is there now, oldest first. */
export const ledger = (): ReadonlyMap<number, LedgerEntry> => new Map(entries)
