// TensorBoard's event files: records (TFRecord) of protocol buffers (tensorboard/compat/proto/event.proto, summary.proto).

/** The Castagnoli polynomial, bits reversed (RFC 3720, appendix B.4). */
const POLYNOMIAL = 0x82f63b78

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ POLYNOMIAL : rest >>> 1
  return rest >>> 0
})

/** CRC-32C. */
export function crc32c(bytes: Uint8Array): number {
  let rest = 0xffffffff
  for (const byte of bytes) rest = (TABLE[(rest ^ byte) & 255] as number) ^ (rest >>> 8)
  return (rest ^ 0xffffffff) >>> 0
}

/** As records keep it, so that the checksum of data that holds checksums is no special case. */
const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0

/** Length, its checksum, the data, its checksum; little-endian. */
function record(data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(data.length + 16)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, BigInt(data.length), true)
  view.setUint32(8, masked(crc32c(bytes.subarray(0, 8))), true)
  bytes.set(data, 12)
  view.setUint32(12 + data.length, masked(crc32c(data)), true)
  return bytes
}

/** A number in groups of seven bits, least first. */
function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return [...bytes, rest]
}

const VARINT = 0
const FIXED64 = 1
const LENGTH = 2
const FIXED32 = 5
const tag = (field: number, type: number): number[] => varint(field * 8 + type)

const integer = (field: number, value: number): number[] => [...tag(field, VARINT), ...varint(value)]
const message = (field: number, bytes: ArrayLike<number>): number[] => [
  ...tag(field, LENGTH),
  ...varint(bytes.length),
  ...Array.from(bytes),
]
const text = (field: number, value: string): number[] => message(field, new TextEncoder().encode(value))
const double = (field: number, value: number): number[] => [
  ...tag(field, FIXED64),
  ...new Uint8Array(Float64Array.of(value).buffer),
]
const float = (field: number, value: number): number[] => [
  ...tag(field, FIXED32),
  ...new Uint8Array(Float32Array.of(value).buffer),
]

/** The record a file begins with. `seconds`: since 1970. */
export const firstRecord = (seconds: number): Uint8Array =>
  record(Uint8Array.from([...double(1, seconds), ...text(3, 'brain.Event:2')]))

/** The scalars of one step. */
export function scalarsRecord(seconds: number, step: number, values: Readonly<Record<string, number>>): Uint8Array {
  const summary = Object.entries(values).flatMap(([name, value]) => message(1, [...text(1, name), ...float(2, value)]))
  return record(Uint8Array.from([...double(1, seconds), ...integer(2, step), ...message(5, summary)]))
}

/** A string tensor of `TensorProto`, and what tells TensorBoard's text plugin that it is its own. */
const STRING = 7
const TEXT_METADATA = [...message(1, text(1, 'text')), ...integer(4, 2)]

/** A text of one step. */
export function textRecord(seconds: number, step: number, name: string, value: string): Uint8Array {
  const tensor = [...integer(1, STRING), ...message(2, []), ...text(8, value)]
  const summary = message(1, [...text(1, name), ...message(8, tensor), ...message(9, TEXT_METADATA)])
  return record(Uint8Array.from([...double(1, seconds), ...integer(2, step), ...message(5, summary)]))
}

/** The start of a session (`SessionLog.START`): what TensorBoard has read of `step` and later is forgotten. */
export const restartRecord = (seconds: number, step: number): Uint8Array =>
  record(Uint8Array.from([...double(1, seconds), ...integer(2, step), ...message(7, integer(1, 1))]))
