// A hub on this machine, with a second server for large files, and what can go wrong with either.
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

export const COMMIT = '0123456789abcdef0123456789abcdef01234567'

export interface Seen {
  readonly method: string
  readonly path: string
  readonly token: string | undefined
  readonly range: string | undefined
}

type Handler = (request: IncomingMessage, response: ServerResponse) => boolean

export interface Hub {
  readonly endpoint: string
  /** Requests to the hub, and to the server of large files. */
  readonly seen: Seen[]
  readonly stored: Seen[]
  /** Answers instead of the hub, or of the server of large files, where it returns true. */
  before: Handler
  beforeStored: Handler
  /** What a large file has. */
  contents: (file: string) => Uint8Array
}

const gitHash = (bytes: Uint8Array): string =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

async function listen(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(handler)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** An address at which nobody listens. */
export async function closedEndpoint(): Promise<string> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  await new Promise((done) => server.close(done))
  return `http://127.0.0.1:${port}`
}

const seenOf = ({ method = '', url = '', headers }: IncomingMessage): Seen => ({
  method,
  path: decodeURIComponent(url),
  token: headers.authorization,
  range: headers.range,
})

/** Sends bytes as asked for: all, or from where the range begins. */
export function send(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: Uint8Array,
  headers: object = {},
): void {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
  const etag = `"${createHash('md5').update(bytes).digest('hex')}"`
  const current = request.headers['if-range'] === undefined || request.headers['if-range'] === etag
  const from = current ? start : 0
  response.writeHead(from > 0 ? 206 : 200, {
    etag,
    'content-length': bytes.length - from,
    ...(from > 0 ? { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {}),
    ...headers,
  })
  response.end(request.method === 'HEAD' ? undefined : bytes.subarray(from))
}

/** Sends the first `count` bytes of an answer and cuts the connection. */
export function cut(request: IncomingMessage, response: ServerResponse, bytes: Uint8Array, count: number): void {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
  response.writeHead(start > 0 ? 206 : 200, {
    'content-length': bytes.length - start,
    etag: `"${createHash('md5').update(bytes).digest('hex')}"`,
    ...(start > 0 ? { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` } : {}),
  })
  response.write(bytes.subarray(start, start + count), () => response.destroy())
}

/** Files of `owner/name` at `main`; those that end in .safetensors lie on the other server. */
export async function hubOf(files: Readonly<Record<string, Uint8Array | string>>): Promise<Hub> {
  const bytesOf = (file: string): Uint8Array | undefined => {
    const content = files[file]
    return typeof content === 'string' ? Buffer.from(content) : content
  }
  const hub = {
    seen: [] as Seen[],
    stored: [] as Seen[],
    before: (() => false) as Handler,
    beforeStored: (() => false) as Handler,
    contents: (file: string) => bytesOf(file) as Uint8Array,
  }
  const storage = await listen((request, response) => {
    hub.stored.push(seenOf(request))
    if (!hub.beforeStored(request, response)) send(request, response, hub.contents((request.url as string).slice(1)))
  })
  const endpoint = await listen((request, response) => {
    hub.seen.push(seenOf(request))
    if (hub.before(request, response)) return
    const [, name, revision, file] =
      /^\/(owner\/name)\/resolve\/([^/]+)\/(.*)$/.exec(decodeURIComponent(request.url ?? '')) ?? []
    if (name === undefined) return void response.writeHead(401, { 'x-error-code': 'RepoNotFound' }).end()
    if (revision !== 'main' && revision !== COMMIT)
      return void response.writeHead(404, { 'x-error-code': 'RevisionNotFound' }).end()
    const bytes = bytesOf(file as string)
    const commit = { 'x-repo-commit': COMMIT }
    if (!bytes) return void response.writeHead(404, { 'x-error-code': 'EntryNotFound', ...commit }).end()
    if (!file?.endsWith('.safetensors'))
      return send(request, response, bytes, { etag: `"${gitHash(bytes)}"`, ...commit })
    response
      .writeHead(302, {
        location: `${storage}/${file}`,
        'x-linked-etag': `"${sha256(bytes)}"`,
        'x-linked-size': bytes.length,
        ...commit,
      })
      .end()
  })
  return Object.assign(hub, { endpoint })
}
