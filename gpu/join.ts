// Joins heddle's rows with the peers' into ratios, and holds them against the goals.
import type { Goals } from '../bench/cuda/cases.js'
import type { Row } from '../bench/cuda/results.js'

/** What is read of heddle's rows, of kernels and of training steps. */
export interface OurRow extends Row {
  readonly ms?: number
  readonly gbPerS?: number
  readonly tflops?: number
  /** Our own copy in the same session. */
  readonly copyGbPerS?: number
  readonly callUs?: number
  readonly idle?: number | null
  readonly goals?: Goals
}

export interface PeerRow extends Row {
  readonly ms?: number
  readonly gbPerS?: number
}

export interface Check {
  readonly goal: string
  readonly wanted: number
  /** Null where it could not be measured. */
  readonly found: number | null
  readonly pass: boolean
}

export interface Compared extends OurRow {
  /** Our bandwidth over the fastest large copy that was made. */
  readonly ofCopy?: number
  /** By peer: its time, and that over ours; above 1 heddle is faster. */
  readonly peers: Readonly<
    Record<string, { readonly ms: number; readonly ratio: number; readonly sameSession: boolean }>
  >
  readonly peerErrors?: Readonly<Record<string, string>>
  readonly checks: readonly Check[]
}

const COPY = /^copy /

/** The bandwidth of the fastest copy: the peers', or our own of the row's session where that was faster. */
function copyBandwidth(row: OurRow, peers: readonly PeerRow[]): number | undefined {
  const copies = peers.filter(({ case: name }) => COPY.test(name)).map(({ gbPerS }) => gbPerS)
  const known = [row.copyGbPerS, ...copies].filter((rate) => rate !== undefined)
  return known.length > 0 ? Math.max(...known) : undefined
}

const atLeast = (goal: string, wanted: number, found: number | undefined): Check => ({
  goal,
  wanted,
  found: found ?? null,
  pass: found !== undefined && found >= wanted,
})
const atMost = (goal: string, wanted: number, found: number | null | undefined): Check => ({
  goal,
  wanted,
  found: found ?? null,
  pass: found !== undefined && found !== null && found <= wanted,
})

function compared(row: OurRow, all: readonly PeerRow[]): Compared {
  const theirs = all.filter(({ case: name, peer }) => name === row.case && peer !== undefined)
  const peers = Object.fromEntries(
    theirs.flatMap(({ peer = '', ms, session }) =>
      ms === undefined || row.ms === undefined
        ? []
        : [[peer, { ms, ratio: ms / row.ms, sameSession: session === row.session }]],
    ),
  )
  const peerErrors = Object.fromEntries(theirs.flatMap(({ peer = '', error }) => (error ? [[peer, error]] : [])))
  const bandwidth = copyBandwidth(row, all)
  const ofCopy = bandwidth && row.gbPerS !== undefined ? row.gbPerS / bandwidth : undefined
  const ratios = Object.values(peers).map(({ ratio }) => ratio)
  const { goals = {} } = row
  const checks: Check[] = []
  if (goals.copy) checks.push(atLeast('share of the copy bandwidth', goals.copy, ofCopy))
  if (goals.peers)
    checks.push(
      atLeast("every peer's time over ours", goals.peers, ratios.length > 0 ? Math.min(...ratios) : undefined),
    )
  if (goals.callUs) checks.push(atMost('microseconds of a call', goals.callUs, row.callUs))
  if (goals.idle) checks.push(atMost('share of the time the GPU is idle', goals.idle, row.idle))
  return {
    ...row,
    ...(ofCopy !== undefined && { ofCopy }),
    peers,
    ...(Object.keys(peerErrors).length > 0 && { peerErrors }),
    checks,
  }
}

/** Every one of our rows with what the peers came to on the same case, and whether its goals are met. */
export const joined = (ours: readonly OurRow[], theirs: readonly PeerRow[]): Compared[] =>
  ours.map((row) => compared(row, theirs))
