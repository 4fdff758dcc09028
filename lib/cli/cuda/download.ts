// One file into a folder: resumed where it was cut off, and there under its name only once its hash is right.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { persistently, type Transport, type Watch } from '../../models/hubRequest.js'
import { DownloadError } from './packageIndex.js'

export interface Wanted {
  /** What it is called where something is said of it. */
  readonly what: string
  readonly sha256: string
  readonly bytes: number
  /** Asked for at each try, as addresses may be good for a time only. */
  readonly address: (signal: AbortSignal) => Promise<string>
}

type Report = (bytes: number) => void

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

/** Gets bytes from where the file ends, until it is whole, the connection is cut or there are too many. */
async function append(handle: FileHandle, from: number, wanted: Wanted, watch: Watch, report: Report): Promise<void> {
  const url = await wanted.address(watch.signal)
  const headers: Record<string, string> = { 'accept-encoding': 'identity', 'user-agent': 'heddle' }
  if (from > 0) headers['range'] = `bytes=${from}-`
  const response = await fetch(url, { headers, signal: watch.signal })
  const { status } = response
  if (status === 429 || status >= 500) throw new TypeError(`the server answers ${status}`)
  if (!response.ok && status !== 416) throw new DownloadError(`${wanted.what}: the server answers ${status}`)
  const goesOn = status === 206 && (response.headers.get('content-range') ?? '').startsWith(`bytes ${from}-`)
  let position = from
  if (from > 0 && !goesOn) {
    // A server without ranges begins anew, and so do we.
    await handle.truncate(0)
    position = 0
    if (status === 416) throw new TypeError('the server has not the bytes that are missing')
  }
  for await (const chunk of response.body ?? []) {
    watch.sawBytes()
    await handle.write(chunk as Uint8Array, 0, chunk.length, position)
    position += chunk.length
    report(position)
    if (position > wanted.bytes) break
  }
  if (position < wanted.bytes) throw new TypeError(`the connection ended after ${position} of ${wanted.bytes} bytes`)
}

async function complete(handle: FileHandle, wanted: Wanted, transport: Transport, report: Report): Promise<void> {
  let before = 0
  let size = (await handle.stat()).size
  await persistently(
    transport,
    wanted.what,
    async (watch) => {
      before = size
      // What is too long can not be the beginning of it.
      if (size > wanted.bytes) {
        await handle.truncate(0)
        size = 0
      }
      try {
        if (size < wanted.bytes) await append(handle, size, wanted, watch, report)
      } finally {
        size = (await handle.stat()).size
      }
    },
    () => size > before,
  )
}

/**
 * Puts the file at `path`. What an interrupted call has left in `<path>.incomplete` is gone on with. Throws
 * `DownloadError` where its hash is not the one wanted, twice, and then keeps nothing.
 */
export async function download(path: string, wanted: Wanted, transport: Transport, report: Report): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const incomplete = `${path}.incomplete`
  await (await open(incomplete, 'a')).close()
  const handle = await open(incomplete, 'r+')
  try {
    for (let tries = 0; ; tries++) {
      await complete(handle, wanted, transport, report)
      if ((await hashOf(incomplete)) === wanted.sha256) break
      // What an earlier try has left may be of something else: once more from the beginning.
      await handle.truncate(0)
      if (tries === 0) continue
      await rm(incomplete, { force: true })
      throw new DownloadError(
        `${wanted.what}: its hash is not the one it must have, twice; nothing of it was kept. Is there a proxy that ` +
          'changes what it passes on?',
      )
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(incomplete, path)
}
