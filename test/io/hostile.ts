// Files that are not what they should be: for each format, a good one and what can be wrong with it.
import { randomBytes } from 'node:crypto'

/** A safetensors file of a header, given as a value or as text, and data. */
export function safetensorsFile(header: unknown, data = new Uint8Array(8), length?: bigint): Uint8Array {
  const text =
    header instanceof Uint8Array ? header : Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const prefix = Buffer.alloc(8)
  prefix.writeBigUInt64LE(length ?? BigInt(text.length))
  return Buffer.concat([prefix, text, data])
}

const tensor = (shape: unknown, offsets: unknown, dtype: unknown = 'F32'): object => ({
  dtype,
  shape,
  data_offsets: offsets,
})

const good = tensor([2], [0, 8])
const inside = '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'

/** Each with the words that its error must have. */
export const HOSTILE_SAFETENSORS: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ['an empty file', new Uint8Array(0), /takes 8/],
  ['seven bytes', new Uint8Array(7), /takes 8/],
  ['a header longer than the file', safetensorsFile({ a: good }, undefined, 1000n), /should have 1000 bytes/],
  ['a header of 2^63 bytes', safetensorsFile({ a: good }, undefined, 1n << 63n), /at most/],
  ['a header of 2^64 - 1 bytes', safetensorsFile({ a: good }, undefined, (1n << 64n) - 1n), /at most/],
  ['a header of no bytes', safetensorsFile('', new Uint8Array(0)), /does not begin with/],
  ['a header that is a list', safetensorsFile('[]'), /does not begin with/],
  ['a byte order mark', safetensorsFile(`\ufeff${inside}}`), /does not begin with/],
  ['bytes that are no UTF-8', safetensorsFile(Buffer.from('{"\xff":1}', 'latin1')), /not UTF-8/],
  ['half an object', safetensorsFile(inside), /not JSON/],
  ['text behind the object', safetensorsFile(`${inside}}x`), /not JSON/],
  ['zeros behind the object', safetensorsFile(`${inside}}\0\0`), /not JSON/],
  ['a name twice', safetensorsFile(`${inside},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`), /'a' twice/],
  ['a name twice, escaped', safetensorsFile(`${inside},"\\u0061":{"dtype":"F32"}}`), /'a' twice/],
  [
    'a field twice',
    safetensorsFile('{"a":{"dtype":"F32","dtype":"I32","shape":[2],"data_offsets":[0,8]}}'),
    /'dtype' twice/,
  ],
  [
    'metadata twice',
    safetensorsFile(`{"__metadata__":{},"__metadata__":{},${inside.slice(1)}}`),
    /'__metadata__' twice/,
  ],
  ['100,000 brackets', safetensorsFile(`{"a":${'['.repeat(100_000)}`), /nested deeper/],
  ['100,000 braces', safetensorsFile('{"a":'.repeat(100_000)), /nested deeper/],
  ['metadata of numbers', safetensorsFile({ __metadata__: { a: 1 }, a: good }), /no string/],
  ['metadata that is a list', safetensorsFile({ __metadata__: [], a: good }), /no object/],
  ['metadata alone, with data', safetensorsFile({ __metadata__: {} }), /truncated, or has more/],
  ['a tensor that is null', safetensorsFile({ a: null }), /no object with dtype/],
  ['a tensor that is a list', safetensorsFile({ a: [] }), /no object with dtype/],
  ['no dtype', safetensorsFile({ a: { shape: [2], data_offsets: [0, 8] } }), /no dtype/],
  ['no shape', safetensorsFile({ a: { dtype: 'F32', data_offsets: [0, 8] } }), /no shape/],
  ['no offsets', safetensorsFile({ a: { dtype: 'F32', shape: [2] } }), /no data_offsets/],
  ['three offsets', safetensorsFile({ a: tensor([2], [0, 8, 8]) }), /no data_offsets/],
  ['a negative extent', safetensorsFile({ a: tensor([-2], [0, 8]) }), /no shape/],
  ['half an extent', safetensorsFile({ a: tensor([0.5, 4], [0, 8]) }), /no shape/],
  ['an extent of infinity', safetensorsFile('{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,8]}}'), /no shape/],
  ['an extent that is a text', safetensorsFile({ a: tensor(['2'], [0, 8]) }), /no shape/],
  ['a negative offset', safetensorsFile({ a: tensor([2], [-8, 0]) }), /no data_offsets/],
  [
    'an offset behind 2^53',
    safetensorsFile('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9007199254740993]}}'),
    /no data_offsets/,
  ],
  ['offsets that end before they begin', safetensorsFile({ a: tensor([0], [8, 0]) }), /end before they begin/],
  ['a shape that overflows', safetensorsFile({ a: tensor([2 ** 52, 2 ** 52], [0, 8]) }), /can be addressed/],
  [
    'a shape that overflows and is empty',
    safetensorsFile({ a: tensor([2 ** 52, 2 ** 52, 0], [0, 0]) }, new Uint8Array(0)),
    /can be addressed/,
  ],
  ['a shape that takes more', safetensorsFile({ a: tensor([3], [0, 8]) }), /takes 12 bytes/],
  ['a shape that takes less', safetensorsFile({ a: tensor([1], [0, 8]) }), /takes 4 bytes/],
  ['another dtype', safetensorsFile({ a: tensor([2], [0, 8], 'F64') }), /takes 16 bytes/],
  ['tensors on top of each other', safetensorsFile({ a: good, b: good }), /inside the one before/],
  [
    'tensors that overlap',
    safetensorsFile({ a: tensor([2], [0, 8]), b: tensor([1], [4, 8]) }),
    /inside the one before/,
  ],
  [
    'a hole between tensors',
    safetensorsFile({ a: tensor([1], [0, 4]), b: tensor([1], [8, 12]) }, new Uint8Array(12)),
    /behind a hole/,
  ],
  ['a hole at the start', safetensorsFile({ a: tensor([1], [4, 8]) }), /behind a hole/],
  ['data that are cut off', safetensorsFile({ a: good }, new Uint8Array(7)), /truncated, or has more/],
  ['data that nobody asked for', safetensorsFile({ a: good }, new Uint8Array(9)), /truncated, or has more/],
  ['an unknown dtype with a hole', safetensorsFile({ a: tensor([1], [4, 8], 'F8_E4M3') }), /behind a hole/],
  ['random bytes', randomBytes(1000), /at most|should have/],
]

/** A .npy file of a header and data. */
export function npyFile(header: string, data = new Uint8Array(8), version = 1): Uint8Array {
  const prefix = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0, 0, 0])
  prefix.writeUInt16LE(header.length, 8)
  return Buffer.concat([prefix, Buffer.from(header), data])
}

const dict = (descr: string, order = 'False', shape = '(2,)'): string =>
  `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }\n`

export const HOSTILE_NPY: readonly (readonly [string, Uint8Array, 'FormatError' | 'DTypeError', RegExp])[] = [
  ['an empty file', new Uint8Array(0), 'FormatError', /not a \.npy/],
  ['another magic', Buffer.from('PK\x03\x04 and more bytes'), 'FormatError', /not a \.npy/],
  ['version 4', npyFile(dict("'<f4'"), undefined, 4), 'FormatError', /version 4/],
  ['a header longer than the file', npyFile(dict("'<f4'")).subarray(0, 20), 'FormatError', /ends in its header/],
  ['no dict', npyFile('[]'), 'FormatError', /no dict/],
  ['half a dict', npyFile("{'descr': '<f4', 'fortran_order': False"), 'FormatError', /no dict/],
  ['an expression', npyFile(dict("__import__('os')")), 'FormatError', /no dict/],
  [
    'a key twice',
    npyFile("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"),
    'FormatError',
    /no dict/,
  ],
  [
    'one key more',
    npyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': True}"),
    'FormatError',
    /no dict/,
  ],
  ['text behind the dict', npyFile(`${dict("'<f4'")}()`), 'FormatError', /no dict/],
  ['pickled objects', npyFile(dict("'|O'")), 'DTypeError', /\|O/],
  ['records', npyFile(dict("[('a', '<f4'), ('b', '<i4')]")), 'DTypeError', /does not have/],
  ['texts', npyFile(dict("'<U2'")), 'DTypeError', /does not have/],
  ['unsigned 32 bits', npyFile(dict("'<u4'")), 'DTypeError', /<u4/],
  ['complex', npyFile(dict("'<c8'", 'False', '(1,)')), 'DTypeError', /<c8/],
  ['an order that is a number', npyFile(dict("'<f4'", '(1,)')), 'FormatError', /fortran_order/],
  ['a shape that is a text', npyFile(dict("'<f4'", 'False', "'2'")), 'FormatError', /no tuple/],
  ['a shape that overflows', npyFile(dict("'<f4'", 'False', `(${2 ** 52}, ${2 ** 52})`)), 'FormatError', /addressed/],
  ['an extent behind 2^53', npyFile(dict("'<f4'", 'False', '(99999999999999999999,)')), 'FormatError', /addressed/],
  [
    'a shape that takes more',
    npyFile(dict("'<f4'", 'False', '(3,)')),
    'FormatError',
    /12 bytes of elements, and 8 follow/,
  ],
  [
    'bytes that nobody asked for',
    npyFile(dict("'<f4'", 'False', '(1,)')),
    'FormatError',
    /4 bytes of elements, and 8 follow/,
  ],
]
