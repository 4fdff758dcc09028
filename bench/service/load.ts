// Load from a process of its own. Open: so many requests a second, whatever becomes of them, and times from when each was due.
// Closed: so many clients, each of which asks again when it has its answer.
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { PIXELS } from './model.js'

export interface LoadOptions {
  readonly port: number
  readonly seconds: number
  /** Requests a second (open), or clients (closed). */
  readonly rate?: number
  readonly clients?: number
}

export interface LoadResult {
  readonly sent: number
  readonly ok: number
  /** Answered with 503. */
  readonly rejected: number
  /** Everything else: other statuses, broken connections, no answer. */
  readonly errors: number
  /** Milliseconds from when a request was due to its answer. */
  readonly okMs: Quantiles
  readonly rejectedMs: Quantiles
  /** Answers with 200 in each tenth of a second. */
  readonly timeline: readonly number[]
}

export interface Quantiles {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** Requests that may have no answer at a time: more would be the client's own limit. */
const MOST_CONNECTIONS = 1000
const TIMEOUT_MS = 5000
const WINDOW_MS = 100

const HEAD = `POST /predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/octet-stream\r\ncontent-length: ${PIXELS}\r\n\r\n`
const REQUEST = Buffer.concat([
  Buffer.from(HEAD),
  Buffer.from(Uint8Array.from({ length: PIXELS }, (_, i) => (i * 7) % 256)),
])

const quantiles = (times: readonly number[]): Quantiles => {
  const sorted = Float64Array.from(times).sort()
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}

/** A connection with at most one request on its way. */
class Connection {
  readonly socket: Socket
  private due: number | undefined
  private text = ''

  constructor(
    port: number,
    private readonly answered: (connection: Connection, status: number, due: number) => void,
    private readonly broken: (connection: Connection, waiting: boolean) => void,
  ) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.setNoDelay(true)
    this.socket.setEncoding('latin1')
    this.socket.on('data', (chunk: string) => this.read(chunk))
    this.socket.on('error', () => undefined)
    this.socket.on('close', () => this.broken(this, this.due !== undefined))
  }

  send(due: number): void {
    this.due = due
    this.socket.write(REQUEST)
  }

  private read(chunk: string): void {
    this.text += chunk
    const end = this.text.indexOf('\r\n\r\n')
    if (end < 0) return
    const length = Number(/content-length: (\d+)/i.exec(this.text)?.[1] ?? 0)
    if (this.text.length < end + 4 + length) return
    const status = Number(this.text.slice(9, 12))
    this.text = ''
    const due = this.due as number
    this.due = undefined
    this.answered(this, status, due)
  }
}

/** Loads the service and tells what came of it. */
export async function load({ port, seconds, rate, clients }: LoadOptions): Promise<LoadResult> {
  const free: Connection[] = []
  const all = new Set<Connection>()
  const [ok, rejected, timeline]: number[][] = [[], [], new Array(Math.ceil((seconds * 1000) / WINDOW_MS)).fill(0)]
  let [sent, errors, waiting] = [0, 0, 0]
  const begun = performance.now()
  const end = begun + seconds * 1000
  const answered = (connection: Connection, status: number, due: number): void => {
    const now = performance.now()
    waiting--
    if (status === 200) {
      ok?.push(now - due)
      const window = Math.floor((now - begun) / WINDOW_MS)
      if (timeline && window < timeline.length) timeline[window] = (timeline[window] as number) + 1
    } else if (status === 503) rejected?.push(now - due)
    else errors++
    if (clients !== undefined && now < end) send(connection, now)
    else free.push(connection)
  }
  const broken = (connection: Connection, lost: boolean): void => {
    all.delete(connection)
    if (lost) {
      errors++
      waiting--
    } else free.splice(free.indexOf(connection), 1)
  }
  const send = (connection: Connection, due: number): void => {
    sent++
    waiting++
    connection.send(due)
  }
  const open = (): Connection => {
    const connection = new Connection(port, answered, broken)
    all.add(connection)
    return connection
  }

  for (let i = 0; i < (clients ?? 0); i++) send(open(), begun)
  const dueOf = (request: number): number => begun + (request / (rate as number)) * 1000
  while (performance.now() < end) {
    const now = performance.now()
    while (rate !== undefined && sent < rate * seconds && dueOf(sent) <= now) {
      const connection = free.pop() ?? (all.size < MOST_CONNECTIONS ? open() : undefined)
      // What no connection is left for is sent late, and its time counts from when it was due.
      if (!connection) break
      send(connection, dueOf(sent))
    }
    // Asleep until the next one is due: a client that looks more often would take the service's time.
    const next = rate === undefined ? end : Math.min(end, Math.max(dueOf(sent), now + 1))
    await pause(Math.max(1, Math.ceil(next - performance.now())))
  }
  const limit = performance.now() + TIMEOUT_MS
  while (waiting > 0 && performance.now() < limit) await pause(5)
  errors += waiting
  for (const { socket } of all) socket.destroy()
  return {
    sent,
    ok: ok?.length ?? 0,
    rejected: rejected?.length ?? 0,
    errors,
    okMs: quantiles(ok ?? []),
    rejectedMs: quantiles(rejected ?? []),
    timeline: timeline ?? [],
  }
}

if (process.send) {
  process.on('message', async (options: LoadOptions) => process.send?.(await load(options)))
  process.on('disconnect', () => process.exit())
}
