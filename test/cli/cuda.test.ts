// heddle cuda install, against a package index on this machine: resumed, held against hashes, only what is missing.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type InstallOptions, installWheels, missingWheels } from '../../lib/cli/cuda/install.js'
import type { Wheel } from '../../lib/cli/cuda/wheels.js'
import { heddle } from './heddle.js'

/** A zip archive of stored members (APPNOTE.TXT 4.3). */
function archive(members: Readonly<Record<string, Buffer>>): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const [name, data] of Object.entries(members)) {
    const fields = Buffer.alloc(26)
    fields.writeUInt32LE(crc32(data), 10)
    fields.writeUInt32LE(data.length, 14)
    fields.writeUInt32LE(data.length, 18)
    fields.writeUInt16LE(name.length, 22)
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, Buffer.from(name), data])
    const entry = Buffer.alloc(46)
    entry.write('PK\x01\x02', 'latin1')
    fields.copy(entry, 6, 0, 26)
    entry.writeUInt32LE(offset, 42)
    directory.push(Buffer.concat([entry, Buffer.from(name)]))
    parts.push(local)
    offset += local.length
  }
  const list = Buffer.concat(directory)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(directory.length, 8)
  end.writeUInt16LE(directory.length, 10)
  end.writeUInt32LE(list.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...parts, list, end])
}

const library = Buffer.alloc(300_000, 'library')
const bytes = archive({
  'nvidia/cu13/lib/libone.so.13': library,
  'nvidia/cu13/lib/libother.so.13': Buffer.from('not wanted'),
  'nvidia/cu13/include/one.h': Buffer.from('not wanted'),
  'one-1.0.dist-info/licenses/License.txt': Buffer.from('licence'),
})
const sha256 = createHash('sha256').update(bytes).digest('hex')
const wheel: Wheel = {
  name: 'one',
  version: '1.0',
  sha256,
  bytes: bytes.length,
  libraries: /^libone\.so\.\d+$/,
  purpose: 'tests',
}

let folder: string
let index: string
let ranges: (string | undefined)[]
/** Answers a request for the file in another way, where it returns true. */
let instead: (request: IncomingMessage, response: ServerResponse) => boolean
let page: (response: ServerResponse) => void
let close: () => void

function sendFile(request: IncomingMessage, response: ServerResponse, file = bytes): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
  const headers = from > 0 ? { 'content-range': `bytes ${from}-${file.length - 1}/${file.length}` } : {}
  response.writeHead(from > 0 ? 206 : 200, { 'content-length': file.length - from, ...headers })
  response.end(file.subarray(from))
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'heddle-'))
  ranges = []
  instead = () => false
  page = (response) => {
    const files = [
      { url: '../../files/old.whl', hashes: { sha256: 'ab'.repeat(32) } },
      { url: '../../files/one.whl', hashes: { sha256 } },
    ]
    response.setHeader('content-type', 'application/vnd.pypi.simple.v1+json')
    response.end(JSON.stringify({ files }))
  }
  const server = createServer((request, response) => {
    if (request.url === '/simple/one/') return page(response)
    if (request.url !== '/files/one.whl') return response.writeHead(404).end()
    ranges.push(request.headers.range)
    if (!instead(request, response)) sendFile(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  index = `http://127.0.0.1:${(server.address() as AddressInfo).port}/simple`
  close = () => {
    server.closeAllConnections()
    server.close()
  }
})
afterEach(() => {
  close()
  rmSync(folder, { recursive: true })
})

const install = (options: Partial<InstallOptions> = {}): Promise<void> =>
  installWheels({
    wheels: [wheel],
    folder,
    index,
    signal: undefined,
    onProgress: () => undefined,
    timeout: 5000,
    retries: 3,
    delay: 1,
    ...options,
  })
const installed = (): Buffer => readFileSync(join(folder, 'lib/libone.so.13'))

describe('heddle cuda install', () => {
  it('takes the wanted libraries and the licence, and fetches nothing twice', async () => {
    const seen: number[] = []
    await install({ onProgress: (_, count) => seen.push(count) })
    expect(installed().equals(library)).toBe(true)
    expect(readdirSync(join(folder, 'lib'))).toEqual(['libone.so.13'])
    expect(readFileSync(join(folder, 'licenses/one.txt'), 'utf8')).toBe('licence')
    expect(existsSync(join(folder, 'downloads'))).toBe(false)
    expect(seen.at(-1)).toBe(bytes.length)
    await install()
    expect(ranges).toHaveLength(1)
    truncateSync(join(folder, 'lib/libone.so.13'), 10)
    expect(await missingWheels(folder, [wheel])).toEqual([wheel])
    await install()
    expect(installed().equals(library)).toBe(true)
  })

  it('reads an index of links too', async () => {
    page = (response) => {
      response.setHeader('content-type', 'text/html')
      response.end(`<a href="../../files/one.whl#sha256=${sha256}">one</a>`)
    }
    await install()
    expect(installed().equals(library)).toBe(true)
  })

  it('goes on where connections are cut', async () => {
    let cuts = 0
    instead = (request, response) => {
      if (cuts++ >= 4) return false
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
      const headers = from > 0 ? { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {}
      response.writeHead(from > 0 ? 206 : 200, { 'content-length': bytes.length - from, ...headers })
      response.write(bytes.subarray(from, from + 50_000), () => response.destroy())
      return true
    }
    await install()
    expect(installed().equals(library)).toBe(true)
    expect(ranges[0]).toBeUndefined()
    expect(new Set(ranges.slice(1)).size).toBe(ranges.length - 1)
  })

  it('goes on with what an earlier call has left, which was interrupted', async () => {
    const control = new AbortController()
    instead = (_, response) => {
      response.writeHead(200, { 'content-length': bytes.length })
      response.write(bytes.subarray(0, 100_000))
      return true
    }
    const onProgress = (_: Wheel, count: number): void => {
      if (count >= 100_000) control.abort(new Error('enough'))
    }
    await expect(install({ signal: control.signal, onProgress })).rejects.toThrow('enough')
    instead = () => false
    await install()
    expect(ranges).toEqual([undefined, 'bytes=100000-'])
    expect(installed().equals(library)).toBe(true)
  })

  it('begins anew where the server has no ranges', async () => {
    let requests = 0
    instead = (_, response) => {
      response.writeHead(200, { 'content-length': bytes.length })
      if (requests++ === 0) response.write(bytes.subarray(0, 60_000), () => response.destroy())
      else response.end(bytes)
      return true
    }
    await install()
    expect(installed().equals(library)).toBe(true)
  })

  it('keeps nothing whose hash is wrong, and says so', async () => {
    const wrong = Buffer.from(bytes)
    wrong[1000] = 1
    instead = (request, response) => {
      sendFile(request, response, wrong)
      return true
    }
    await expect(install()).rejects.toThrow(/one 1\.0: its hash is not the one it must have, twice/)
    expect(readdirSync(join(folder, 'downloads'))).toEqual([])
    expect(existsSync(join(folder, 'lib'))).toBe(false)
  })

  it('fetches anew what an earlier call has left of something else', async () => {
    await expect(install({ index: index.replace('/simple', '/nowhere') })).rejects.toThrow(/answers 404/)
    writeFileSync(join(folder, 'downloads/one-1.0.whl.incomplete'), Buffer.alloc(5000, 'other'))
    await install()
    expect(ranges).toEqual(['bytes=5000-', undefined])
    expect(installed().equals(library)).toBe(true)
  })

  it('says what an index lacks, and that nobody answers', async () => {
    page = (response) => {
      response.setHeader('content-type', 'application/vnd.pypi.simple.v1+json')
      response.end('{"files":[]}')
    }
    await expect(install()).rejects.toThrow(/has no file of 1\.0 with the SHA-256/)
    close()
    await expect(install({ retries: 1 })).rejects.toThrow(/one 1\.0: .*ECONNREFUSED/)
  })

  it('as a command says sizes and the folder, and refuses what it does not know', () => {
    const { status, stdout } = heddle(['cuda', 'install', '--dry-run', '--index', index], { HEDDLE_CACHE: folder })
    expect(status).toBe(0)
    expect(stdout).toContain(join(folder, 'cuda/13.0/lib'))
    expect(stdout).toMatch(/nvidia-cublas +13\.1\.0\.3 +404 MiB {2}matrix products/)
    expect(stdout).toMatch(/839 MiB to download/)
    expect(ranges).toEqual([])
    expect(heddle(['cuda']).status).toBe(2)
    expect(heddle(['cuda', 'install', '--index', 'nonsense'])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('nonsense is no address'),
    })
    expect(heddle(['cuda', 'install', '--fast']).status).toBe(2)
    expect(heddle(['cuda', 'install', '--dry-run'], { PATH: '/nowhere' })).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('there is no pip here'),
    })
  })
})
