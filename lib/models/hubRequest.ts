// Requests to the hub: redirects without the token to other hosts, and another try where one may help.
import { setTimeout as sleep } from 'node:timers/promises'
import { PretrainedError } from '../runtime/errors.js'

/** How requests are made. */
export interface Transport {
  /** As https://huggingface.co. */
  readonly endpoint: string
  readonly token: string | undefined
  readonly signal: AbortSignal | undefined
  /** Milliseconds without a byte after which a request is given up. */
  readonly timeout: number
  /** Tries after the first one; counted anew when bytes have come. */
  readonly retries: number
  /** Milliseconds before the second try; doubled before each further one. */
  readonly delay: number
}

/** A server that can not be reached, or that fails: another try may help, and so may what is in the cache. */
export class UnreachableError extends PretrainedError {}

const MOST_REDIRECTS = 8
/** A server that asks for more patience than this is not waited for, in seconds. */
const MOST_PATIENCE = 120

/** Ends a request when nothing has come for a while, or when the caller wants to. */
export class Watch {
  private readonly control = new AbortController()
  private timer: NodeJS.Timeout | undefined
  readonly signal: AbortSignal

  constructor(private readonly transport: Transport) {
    const { signal } = transport
    this.signal = signal ? AbortSignal.any([signal, this.control.signal]) : this.control.signal
    this.sawBytes()
  }

  sawBytes(): void {
    clearTimeout(this.timer)
    const { timeout } = this.transport
    this.timer = setTimeout(() => this.control.abort(new Error(`nothing came for ${timeout / 1000} seconds`)), timeout)
  }

  end(): void {
    clearTimeout(this.timer)
  }
}

export interface Answer {
  readonly response: Response
  /** Headers of the hub itself, where it sent us on to where the bytes are. */
  readonly hub: Headers
}

/**
 * One request. Redirects are followed; a `HEAD` only within the hub: headers that come with the redirect to where the bytes
 * are say all there is to know.
 */
export async function request(
  transport: Transport,
  method: 'GET' | 'HEAD',
  start: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Answer> {
  const { endpoint, token } = transport
  let url = new URL(start)
  let hub: Headers | undefined
  for (let count = 0; count <= MOST_REDIRECTS; count++) {
    // The hash and the size are those of the bytes as they are.
    const sent: Record<string, string> = { 'accept-encoding': 'identity', 'user-agent': 'heddle', ...headers }
    if (token && url.origin === new URL(endpoint).origin) sent['authorization'] = `Bearer ${token}`
    const response = await fetch(url, { method, headers: sent, redirect: 'manual', signal })
    const next = response.headers.get('location')
    if (response.status < 300 || response.status >= 400 || response.status === 304 || !next)
      return { response, hub: hub ?? response.headers }
    await response.body?.cancel()
    if (response.headers.has('x-linked-etag')) {
      hub = response.headers
      if (method === 'HEAD') return { response, hub }
    }
    url = new URL(next, url)
    if (url.protocol !== 'https:' && url.protocol !== new URL(endpoint).protocol)
      throw new PretrainedError(`the hub sends us on to ${url.protocol}//, which is not safe`)
  }
  throw new UnreachableError(`${start} leads from one place to the next without an end`)
}

/** Seconds that a server asks for, by number or date. */
function patienceOf(headers: Headers): number | undefined {
  const text = headers.get('retry-after')
  if (text === null) return undefined
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined
}

const MAY_PASS = new Set([408, 425, 429, 500, 502, 503, 504])

/** Throws what a status that is no success means: `UnreachableError` where it may pass, with the seconds the server asks for. */
export function checkStatus({ status, headers }: Response, what: string, hasToken: boolean): void {
  if (status < 400) return
  const shown = `${what}: the server says ${status}`
  if (MAY_PASS.has(status)) {
    const error = new UnreachableError(`${shown}; try again later`)
    const patience = patienceOf(headers)
    throw patience === undefined ? error : Object.assign(error, { patience })
  }
  const code = headers.get('x-error-code')
  if (code === 'GatedRepo' || status === 403)
    throw new PretrainedError(
      `${shown}: its owner has to let you in; ask for access on the model's page, and give a token that has it (the option token, or HF_TOKEN)`,
    )
  if (status === 401)
    throw new PretrainedError(
      hasToken
        ? `${shown}: there is no such model, or the token does not open it; see whether its name and the token are right`
        : `${shown}: there is no such model, or it is private; see whether its name is right, or give a token (the option token, or HF_TOKEN)`,
    )
  if (code === 'RevisionNotFound')
    throw new PretrainedError(`${shown}: the model has no such revision; give a branch, a tag or a commit that it has`)
  throw new PretrainedError(
    status === 404 ? `${shown}: there is nothing of that name` : `${shown}, which no other try will change`,
  )
}

/** Waits; rejects with the signal's reason. */
export async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(milliseconds, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted())
}

/** Whether an error is one of the network: what `fetch` and its streams throw. */
function isPassing(error: unknown): boolean {
  if (error instanceof UnreachableError) return true
  if (error instanceof PretrainedError || (error as NodeJS.ErrnoException).syscall === 'open') return false
  const code = (error as NodeJS.ErrnoException).code ?? ''
  return error instanceof TypeError || /^(ECONN|EPIPE|ETIMEDOUT|UND_|EAI_AGAIN|ENOTFOUND)/.test(code)
}

/** Tries until it works or will not: `progressed` says whether the last try has brought something, and then counts anew. */
export async function persistently<T>(
  transport: Transport,
  what: string,
  attempt: (watch: Watch) => Promise<T>,
  progressed: () => boolean = () => false,
): Promise<T> {
  const { signal, retries, delay } = transport
  for (let failures = 0; ; ) {
    signal?.throwIfAborted()
    const watch = new Watch(transport)
    try {
      return await attempt(watch)
    } catch (error) {
      signal?.throwIfAborted()
      const timedOut = watch.signal.aborted
      if (!timedOut && !isPassing(error)) throw error
      failures = progressed() ? 1 : failures + 1
      const patience = (error as { patience?: number }).patience
      if (failures > retries || (patience ?? 0) > MOST_PATIENCE) {
        if (error instanceof UnreachableError) throw error
        const reason = timedOut ? watch.signal.reason : ((error as Error).cause ?? error)
        throw new UnreachableError(`${what}: ${(reason as Error).message}`, { cause: error })
      }
      await pause(
        patience === undefined ? delay * 2 ** (failures - 1) * (0.5 + Math.random()) : patience * 1000,
        signal,
      )
    } finally {
      watch.end()
    }
  }
}
