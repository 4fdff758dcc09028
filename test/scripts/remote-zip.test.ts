// Members of an archive on a server are read by ranges, and damage or a server without ranges is told.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { crc32, deflateRawSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { script } from './script.js'

interface Member {
  name: string
  size: number
}
const { NoRangesError, readMember, remoteMembers } = await script<{
  NoRangesError: new () => Error
  remoteMembers(url: string): Promise<Member[]>
  readMember(url: string, member: Member): Promise<Buffer>
}>('remote-zip.mjs')

const HEADER = 'enum { kOne = 1 };\n'.repeat(100)
const LICENSE = 'stored'

/** A zip archive (APPNOTE.TXT 4.3) whose local headers carry more extra bytes than its directory says. */
function archive(): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const [name, text, method] of [
    ['pkg/include/one.h', HEADER, 8],
    ['pkg/LICENSE', LICENSE, 0],
  ] as const) {
    const data = method === 8 ? deflateRawSync(text) : Buffer.from(text)
    const fields = Buffer.alloc(26)
    fields.writeUInt16LE(method, 4)
    fields.writeUInt32LE(crc32(text), 10)
    fields.writeUInt32LE(data.length, 14)
    fields.writeUInt32LE(text.length, 18)
    fields.writeUInt16LE(name.length, 22)
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, Buffer.from(name), Buffer.alloc(400), data])
    local.writeUInt16LE(400, 28)
    const entry = Buffer.alloc(46)
    entry.write('PK\x01\x02', 'latin1')
    fields.copy(entry, 6)
    entry.writeUInt32LE(offset, 42)
    directory.push(entry, Buffer.from(name))
    parts.push(local)
    offset += local.length
  }
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(2, 10)
  end.writeUInt32LE(Buffer.concat(directory).length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...parts, ...directory, end])
}

let server: Server | undefined
afterEach(() => server?.close())

/** Serves the bytes and counts those it sent. */
async function serve(bytes: Buffer, ranges: boolean): Promise<{ url: string; sent: () => number }> {
  let sent = 0
  server = createServer((request, response) => {
    const [, from, to] = /bytes=(\d*)-(\d*)/.exec(request.headers.range ?? '') ?? []
    const start = from ? Number(from) : Math.max(0, bytes.length - Number(to))
    const part = ranges ? bytes.subarray(start, from ? Number(to) + 1 : bytes.length) : bytes
    sent += part.length
    response.writeHead(ranges ? 206 : 200).end(part)
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, sent: () => sent }
}

describe('an archive on a server', () => {
  it('gives its members, packed and stored', async () => {
    const { url } = await serve(archive(), true)
    const members = await remoteMembers(url)
    expect(members.map(({ name, size }) => [name, size])).toEqual([
      ['pkg/include/one.h', HEADER.length],
      ['pkg/LICENSE', LICENSE.length],
    ])
    const contents = await Promise.all(members.map((member) => readMember(url, member)))
    expect(contents.map(String)).toEqual([HEADER, LICENSE])
  })

  it('sends only what is asked for', async () => {
    const large = Buffer.concat([Buffer.alloc(2 ** 20), archive()])
    // The directory's offsets are those of the archive alone: it starts a mebibyte later here.
    const end = large.length - 22
    const start = large.readUInt32LE(end + 16)
    large.writeUInt32LE(start + 2 ** 20, end + 16)
    const { url, sent } = await serve(large, true)
    expect(await remoteMembers(url)).toHaveLength(2)
    expect(sent()).toBeLessThan(4096)
  })

  it('whose bytes are damaged is refused', async () => {
    const bytes = archive()
    const at = bytes.indexOf(LICENSE)
    bytes[at] = 'S'.charCodeAt(0)
    const { url } = await serve(bytes, true)
    const [, license] = await remoteMembers(url)
    await expect(readMember(url, license as Member)).rejects.toThrow('pkg/LICENSE arrived damaged')
  })

  it('that sends no ranges is told apart', async () => {
    const { url } = await serve(archive(), false)
    await expect(remoteMembers(url)).rejects.toThrow(NoRangesError)
  })
})
