// Reads single members of a zip archive on a server, by HTTP range requests.
import { crc32, inflateRawSync } from 'node:zlib'

export class NoRangesError extends Error {}

async function range(url, header) {
  const response = await fetch(url, { headers: { range: `bytes=${header}`, 'accept-encoding': 'identity' } })
  if (response.status !== 206) {
    await response.body?.cancel()
    if (response.ok) throw new NoRangesError('the package index sends no ranges of files')
    throw new Error(`the package index answered ${response.status} to a request for a part of a file`)
  }
  return Buffer.from(await response.arrayBuffer())
}

/** The bytes `start` to `end`, the latter not included. */
const slice = (url, start, end) => range(url, `${start}-${end - 1}`)

/** The members of an archive: name, method, checksum, sizes and where each begins (APPNOTE.TXT 4.3.12 and 4.3.16). */
export async function remoteMembers(url) {
  // The end record is 22 bytes and a comment, which wheels do not have.
  const tail = await range(url, `-${22 + 1024}`)
  const at = tail.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'))
  if (at < 0) throw new Error('the archive has no end record: it is no zip archive, or has a long comment')
  const [count, bytes, start] = [tail.readUInt16LE(at + 10), tail.readUInt32LE(at + 12), tail.readUInt32LE(at + 16)]
  if (count === 0xffff || start === 0xffffffff)
    throw new Error('the archive is a zip64 archive, which is not read here')
  const directory = await slice(url, start, start + bytes)
  const members = []
  for (let position = 0; members.length < count; ) {
    const field = (offset) => directory.readUInt16LE(position + offset)
    const long = (offset) => directory.readUInt32LE(position + offset)
    if (long(0) !== 0x02014b50) throw new Error('the directory of the archive is damaged')
    const name = directory.toString('utf8', position + 46, position + 46 + field(28))
    members.push({ name, method: field(10), crc: long(16), packed: long(20), size: long(24), offset: long(42) })
    position += 46 + field(28) + field(30) + field(32)
  }
  return members
}

/** A member's contents, checked against the length and the CRC of the archive's directory. */
export async function readMember(url, { name, method, crc, packed, size, offset }) {
  // The local header's extra field may differ from the directory's: allow for one, and ask again where it is longer.
  const expected = 30 + Buffer.byteLength(name) + 256
  let local = await slice(url, offset, offset + expected + packed)
  const start = 30 + local.readUInt16LE(26) + local.readUInt16LE(28)
  if (start + packed > local.length) local = await slice(url, offset, offset + start + packed)
  const data = local.subarray(start, start + packed)
  if (method !== 0 && method !== 8) throw new Error(`${name} is packed by method ${method}, which is not read here`)
  const contents = method === 8 ? inflateRawSync(data) : data
  if (contents.length !== size || crc32(contents) !== crc) throw new Error(`${name} arrived damaged: its CRC differs`)
  return contents
}
