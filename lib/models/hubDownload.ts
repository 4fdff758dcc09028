// One file of the hub into the cache: resumed where it was cut off, its size and hash checked before it counts.
import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { PretrainedError } from '../runtime/errors.js'
import type { CachedModel } from './hubCache.js'
import { exists, isCommit } from './hubCache.js'
import { locked } from './hubLock.js'
import { type Answer, checkStatus, persistently, request, type Transport, type Watch } from './hubRequest.js'

export interface DownloadProgress {
  readonly file: string
  /** Bytes that are here, those of earlier tries included. */
  readonly bytes: number
  /** Bytes of the whole file; undefined where the server does not say. */
  readonly total: number | undefined
  /** Bytes a second since this download began. */
  readonly rate: number
}

/** What the hub says of a file. */
export interface RemoteFile {
  readonly url: string
  readonly file: string
  readonly commit: string
  readonly etag: string
  readonly size: number | undefined
}

const sizeOf = (text: string | null): number | undefined =>
  text !== null && /^\d+$/.test(text) ? Number(text) : undefined

const addressOf = ({ endpoint }: Transport, name: string, revision: string, file: string): string =>
  [endpoint, ...[...name.split('/'), 'resolve', revision, ...file.split('/')].map(encodeURIComponent)].join('/')

/** A file's commit, hash and size; undefined, with the commit where the hub says it, for one that does not exist. */
export async function lookUp(
  transport: Transport,
  name: string,
  revision: string,
  file: string,
): Promise<RemoteFile | { readonly commit: string | undefined; readonly etag: undefined }> {
  const url = addressOf(transport, name, revision, file)
  const what = `${name}: ${file} at ${revision}`
  const { response, hub } = await persistently<Answer>(transport, what, async (watch) => {
    const answer = await request(transport, 'HEAD', url, {}, watch.signal)
    const code = answer.response.headers.get('x-error-code')
    if (answer.response.status !== 404 || code === 'RevisionNotFound' || code === 'RepoNotFound')
      checkStatus(answer.response, what, transport.token !== undefined)
    return answer
  })
  const commit = hub.get('x-repo-commit') ?? undefined
  if (commit !== undefined && !isCommit(commit))
    throw new PretrainedError(`${what}: the server names no commit by its hash`)
  if (response.status === 404) return { commit, etag: undefined }
  const etag = (hub.get('x-linked-etag') ?? hub.get('etag'))?.replace(/^W\//, '').replace(/^"|"$/g, '')
  // It becomes the name of a file.
  if (commit === undefined || !etag || !/^[\w-][\w.-]{0,127}$/.test(etag))
    throw new PretrainedError(
      `${what}: the server does not answer as the hub does (x-repo-commit, etag); is HF_ENDPOINT right, and is there a proxy that changes answers?`,
    )
  // The bytes are taken from the commit: a branch may move on meanwhile.
  return {
    url: addressOf(transport, name, commit, file),
    file,
    commit,
    etag,
    size: sizeOf(hub.get('x-linked-size') ?? hub.get('content-length')),
  }
}

/** The hash that an etag is of: SHA-256 of large files, git's of small ones; undefined where it is neither. */
function hashFor(etag: string, bytes: number): Hash | undefined {
  if (/^[0-9a-f]{64}$/.test(etag)) return createHash('sha256')
  return isCommit(etag) ? createHash('sha1').update(`blob ${bytes}\0`) : undefined
}

/** Why a file is not what it should be; undefined where it is. */
async function faultOf(path: string, bytes: number, { etag, size }: RemoteFile): Promise<string | undefined> {
  if (size !== undefined && bytes !== size) return `it has ${bytes} bytes instead of ${size}`
  const hash = hashFor(etag, bytes)
  if (!hash) return undefined
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
  return hash.digest('hex') === etag ? undefined : 'its hash is not the one that the hub says'
}

type Report = (progress: DownloadProgress) => void

/** The bytes of one blob: what has come so far, and how to get the rest. */
class Download {
  private bytes = 0
  private before = 0
  /** Of the server that has the bytes, which may count otherwise than the hub; known once it has answered. */
  private version: string | undefined
  private readonly start = Date.now()
  private readonly first: number

  constructor(
    private readonly transport: Transport,
    private readonly remote: RemoteFile,
    private readonly handle: FileHandle,
    existing: number,
    private readonly report: Report | undefined,
  ) {
    this.bytes = existing
    this.first = existing
  }

  /** Gets what is missing. Gives the bytes there are. */
  async run(): Promise<number> {
    const { file, size } = this.remote
    await persistently(
      this.transport,
      file,
      async (watch) => {
        this.before = this.bytes
        if (size === undefined || this.bytes < size) await this.attempt(watch)
      },
      () => this.bytes > this.before,
    )
    return this.bytes
  }

  async restart(): Promise<void> {
    this.bytes = 0
    this.version = undefined
    await this.handle.truncate(0)
  }

  private async attempt(watch: Watch): Promise<void> {
    const { transport, remote } = this
    const range: Record<string, string> = this.bytes > 0 ? { range: `bytes=${this.bytes}-` } : {}
    // Should the bytes have changed meanwhile, the server sends all of the new ones.
    if (this.bytes > 0 && this.version) range['if-range'] = this.version
    const { response } = await request(transport, 'GET', remote.url, range, watch.signal)
    if (response.status === 416) {
      await response.body?.cancel()
      await this.restart()
      throw new TypeError('the server has not the bytes that are missing')
    }
    checkStatus(response, remote.file, transport.token !== undefined)
    const goesOn = response.headers.get('content-range')?.startsWith(`bytes ${this.bytes}-`) ?? false
    if (this.bytes > 0 && !(response.status === 206 && goesOn)) await this.restart()
    const version = response.headers.get('etag')
    this.version = version?.startsWith('"') ? version : undefined
    for await (const chunk of response.body ?? []) {
      watch.sawBytes()
      await this.handle.write(chunk as Uint8Array, 0, chunk.length, this.bytes)
      this.bytes += chunk.length
      this.tell()
      if (remote.size !== undefined && this.bytes > remote.size) break
    }
    if (remote.size !== undefined && this.bytes < remote.size)
      throw new TypeError(`the connection ended after ${this.bytes} of ${remote.size} bytes`)
  }

  private tell(): void {
    const seconds = Math.max(1, Date.now() - this.start) / 1000
    const { file, size } = this.remote
    const fresh = Math.max(0, this.bytes - this.first)
    this.report?.({ file, bytes: this.bytes, total: size, rate: fresh / seconds })
  }
}

/** Puts a file of the hub into the cache, unless its blob is there. */
export async function fetchFile(
  transport: Transport,
  cached: CachedModel,
  remote: RemoteFile,
  report: Report | undefined,
): Promise<void> {
  const { etag, commit, file } = remote
  const blob = cached.blob(etag)
  if (!(await exists(blob)))
    await locked(cached.lock(etag), transport.signal, async () => {
      // Another process may have been faster.
      if (!(await exists(blob))) await fetchBlob(transport, blob, remote, report)
    })
  await cached.link(etag, commit, file)
}

async function fetchBlob(
  transport: Transport,
  blob: string,
  remote: RemoteFile,
  report: Report | undefined,
): Promise<void> {
  await mkdir(dirname(blob), { recursive: true })
  const incomplete = `${blob}.incomplete`
  const handle = await open(incomplete, 'a').then(async (made) => {
    await made.close()
    return open(incomplete, 'r+')
  })
  try {
    const download = new Download(transport, remote, handle, (await handle.stat()).size, report)
    let fault = await faultOf(incomplete, await download.run(), remote)
    if (fault !== undefined) {
      // What an earlier try has left may be of something else: once more from the beginning.
      await download.restart()
      fault = await faultOf(incomplete, await download.run(), remote)
    }
    if (fault !== undefined) {
      await rm(incomplete, { force: true })
      throw new PretrainedError(
        `${remote.file}: ${fault}, twice; nothing of it was kept. Is there a proxy that changes what it passes on?`,
      )
    }
    await handle.sync()
    await rename(incomplete, blob)
  } finally {
    await handle.close()
  }
}
