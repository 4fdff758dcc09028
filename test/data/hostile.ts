// Parquet files that lie, each with what an error about it must say.
import { deflateRawSync } from 'node:zlib'
import {
  bytesOf,
  DELTA,
  DELTA_BYTES,
  DICTIONARY,
  dataPage,
  dictionaryPage,
  type FileParts,
  i32,
  i64,
  int32s,
  list,
  measured,
  type PageParts,
  packed,
  parquetFile,
  run,
  SPLIT,
  struct,
  TYPES,
  text,
  varint,
  withFooter,
} from './parquetWriter.js'

const good: FileParts = { pages: dataPage({ body: int32s(1, 2, 3), values: 3 }), rows: 3 }
export const GOOD_PARQUET = parquetFile(good)

const file = (parts: Partial<FileParts>): Uint8Array => parquetFile({ ...good, ...parts })
const page = (parts: Partial<PageParts>, more: Partial<FileParts> = {}): Uint8Array =>
  file({ pages: dataPage({ body: int32s(1, 2, 3), values: 3, ...parts }), ...more })
const element = (name: string, children: number, repetition = 0) =>
  struct({
    3: i32(repetition),
    4: text(name),
    5: children ? i32(children) : undefined,
    1: children ? undefined : i32(1),
  })
const repeat = <T>(times: number, value: T): T[] => Array.from({ length: times }, () => value)
/** A column of texts by their dictionary. */
const indexed = (indexes: readonly number[], values = 3): Uint8Array =>
  file({
    type: TYPES.bytes,
    pages: [
      ...dictionaryPage({ body: [...bytesOf('x'), ...bytesOf('y')], values: 2 }),
      ...dataPage({ body: indexes, values, encoding: DICTIONARY }),
    ],
  })
const optional = (levels: readonly number[], body: readonly number[]): Uint8Array =>
  page({ body: [...measured(levels), ...body] }, { repetition: 1 })
const packedPage = (codec: number, body: readonly number[], claimed: number): Uint8Array =>
  page({ body, header: { 2: i32(claimed) } }, { codec })
const deltas = (block: number, parts: number, ...rest: number[]): number[] => [
  ...varint(block),
  ...varint(parts),
  ...varint(3),
  ...rest,
]

/** Differences of three numbers in blocks of 128, as little as they take: the first, the least difference, bits of the rest. */
const three = (first: number, least: number, ...bits: number[]): number[] => [
  ...deltas(128, 4, first, least),
  ...(bits.length > 0 ? [1, 0, 0, 0, ...bits, 0, 0, 0] : [0, 0, 0, 0]),
]

/** Good files in encodings that are rare, with what is in them. */
export const RARE_PARQUET: readonly (readonly [string, Uint8Array, readonly unknown[]])[] = [
  ['differences', page({ encoding: DELTA, body: three(2, 2) }), [1, 2, 3]],
  ['differences of 64 bits', page({ encoding: DELTA, body: three(2, 2) }, { type: TYPES.int64 }), [1n, 2n, 3n]],
  [
    'texts by what they share',
    page(
      { encoding: DELTA_BYTES, body: [...three(0, 0, 1), ...three(4, 1, 2), ...Buffer.from('abcd')] },
      { type: TYPES.bytes },
    ),
    ['ab', 'ac', 'ad'],
  ],
  [
    'texts behind their lengths',
    page({ encoding: 6, body: [...three(4, 1, 2), ...Buffer.from('abcd')] }, { type: TYPES.bytes }),
    ['ab', 'c', 'd'],
  ],
  [
    'split bytes',
    page({ encoding: SPLIT, body: [...Array(6).fill(0), 128, 0, 64, 63, 64, 64] }, { type: TYPES.float }),
    [1, 2, 3],
  ],
  ['packed indexes', indexed([1, ...packed(1, 0b101)]), ['y', 'x', 'y']],
  ['present and missing', optional([...run(1, [1]), ...run(1, [0]), ...run(1, [1])], int32s(1, 3)), [1, null, 3]],
  [
    'lists, in pages of the second version',
    file({
      repetition: 2,
      pages: [
        ...struct({
          1: i32(3),
          2: i32(16),
          3: i32(16),
          8: struct({ 1: i32(3), 2: i32(1), 3: i32(2), 4: i32(0), 5: i32(4), 6: i32(4) }),
        })[1],
        ...[...run(1, [0]), ...packed(1, 0b01)],
        ...[...packed(1, 0b011), ...run(0, [0])],
        ...int32s(7, 8),
      ],
      rows: 2,
    }),
    // What the library makes of an empty list that is no group of its own.
    [[7, 8], null],
  ],
]

export const HOSTILE_PARQUET: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ['an empty file', new Uint8Array(0), /no Parquet file: it has 0 bytes/],
  ['eleven bytes', GOOD_PARQUET.subarray(0, 11), /no Parquet file/],
  ['another magic in front', Uint8Array.from([88, ...GOOD_PARQUET.subarray(1)]), /does not begin and end/],
  ['another magic behind', Uint8Array.from([...GOOD_PARQUET.subarray(0, -1), 88]), /does not begin and end/],
  ['half a file', GOOD_PARQUET.subarray(0, 40), /cut off/],
  ['a footer longer than the file', withFooter([], [0], 1000), /footer claims 1000 of/],
  ['a footer of 4 GiB', withFooter([], [0], 0xffffffff), /footer claims 4294967295/],
  ['a footer of nothing', withFooter(repeat(8, 0), []), /ends in the middle/],
  ['a footer without columns', withFooter(repeat(8, 0), [0]), /no description of columns/],
  ['a list of 2^31 columns', withFooter(repeat(8, 0), [0x29, 0xfc, ...varint(2 ** 31)]), /list of 2147483648 items/],
  ['lists of lists', withFooter([], [0x29, ...repeat(5000, 0x19), 0]), /nested deeper/],
  ['structs of structs', withFooter([], repeat(5000, 0x1c)), /nested deeper/],
  ['a number of a million bytes', withFooter([], [0x16, ...repeat(1_000_000, 0x80), 0]), /more than 64 bits/],
  [
    'a million empty structs',
    withFooter([], [0x29, 0xfc, ...varint(1_000_000), ...repeat(1_000_000, 0), 0]),
    /more structs than/,
  ],
  ['a text beyond the footer', withFooter(repeat(8, 0), [0x18, 100, 65]), /100 bytes of text/],
  ['a field twice', file({ footer: { 1: [5, [2, 0x05, 2, 2]] } }), /field 1 twice/],
  ['a schema of children that are not there', file({ elements: [element('a', 3)] }), /schema is no tree/],
  ['a schema of minus one child', file({ elements: [element('a', -1)] }), /schema is no tree/],
  ['a schema that is its own child', file({ elements: [element('a', 2 ** 30)] }), /schema is no tree/],
  ['elements nobody asked for', file({ elements: [element('a', 0), element('b', 0)] }), /schema is no tree/],
  [
    'a schema 3,000 deep',
    file({ elements: [...repeat(3000, element('a', 1)), element('a', 0)], path: repeat(3001, 'a') }),
    /schema is nested deeper/,
  ],
  [
    'a nested field __proto__',
    file({ elements: [element('a', 1), element('__proto__', 0)] }),
    /nested field a\.__proto__/,
  ],
  ['a column without a type', file({ element: { 1: undefined } }), /no type/],
  [
    'values of 2^30 bytes each',
    file({ type: TYPES.fixed, element: { 2: i32(2 ** 30) } }),
    /values of 1073741824 bytes/,
  ],
  ['values of minus one byte', file({ type: TYPES.fixed, element: { 2: i32(-1) } }), /values of -1 bytes/],
  ['rows and no columns', file({ elements: [], path: [] }), /schema is no tree|no columns/],
  ['minus one row', file({ group: { 3: i64(-1) } }), /claims -1 rows/],
  ['2^62 rows', file({ group: { 3: i64(2n ** 62n) } }), /claims 4611686018427387904 rows/],
  ['8 million rows of three', file({ group: { 3: i64(8_000_000) } }), /3 of 8000000 rows/],
  ['100 million rows', file({ group: { 3: i64(100_000_000) } }), /limits are/],
  ['2^40 bytes', file({ meta: { 6: i64(2n ** 40n) } }), /limits are/],
  [
    'another type than the schema',
    file({ meta: { 1: i32(TYPES.int64) } }),
    /INT64 in the row group, INT32 in the schema/,
  ],
  ['another column than the schema', file({ path: ['b'] }), /has a 0 times/],
  ['a codec that there is not', file({ meta: { 4: i32(77) } }), /codec/],
  ['pages behind the file', file({ meta: { 9: i64(1_000_000) } }), /claims the bytes 1000000/],
  ['pages in front of the file', file({ meta: { 9: i64(-4) } }), /claims the bytes -4/],
  ['more pages than the file', file({ meta: { 7: i64(2n ** 50n) } }), /claims the bytes 4 to/],
  [
    'values in another file',
    file({
      group: {
        1: list([
          struct({
            1: text('b'),
            2: i64(4),
            3: struct({
              1: i32(1),
              2: list([i32(0)]),
              3: list([text('a')]),
              4: i32(0),
              5: i64(3),
              6: i64(9),
              7: i64(9),
              9: i64(4),
            }),
          }),
        ]),
      },
    }),
    /another file/,
  ],
  ['a page of more bytes than follow', page({ header: { 3: i32(1000) } }), /claims 1000 bytes/],
  ['a page of minus 40 bytes', page({ header: { 3: i32(-40) } }), /claims -40 compressed bytes/],
  ['a page of minus 40 bytes, decompressed', page({ header: { 2: i32(-40) } }), /claims -40 bytes/],
  ['a page of 2 GiB', page({ header: { 2: i32(2 ** 31 - 1) } }), /limit of/],
  ['a page of 2 GiB by Snappy', packedPage(1, [4, 0, 65, 66], 2 ** 29), /SNAPPY can not make more/],
  ['a page of 512 MiB by LZ4', packedPage(7, [0xf0, 65, 66], 2 ** 29), /LZ4_RAW can not make more/],
  [
    'a page of 512 MiB by DEFLATE',
    packedPage(2, [...deflateRawSync(Buffer.alloc(1000))], 2 ** 29),
    /GZIP can not make/,
  ],
  [
    'more by DEFLATE than it claims',
    packedPage(2, [...deflateRawSync(Buffer.alloc(100_000))], 12),
    /larger than|Cannot create|claims 12 bytes/,
  ],
  ['less by Snappy than it claims', packedPage(1, [12, 12, 65, 66, 67, 68], 12), /Snappy blocks/],
  ['LZ4 that copies from before its beginning', packedPage(7, [0x10, 65, 9, 0, 0x10, 65], 12), /LZ4 blocks/],
  ['half an LZ4 block', packedPage(7, [0xc0, 65], 12), /LZ4 blocks/],
  ['no Zstandard', packedPage(6, repeat(20, 1), 12), /no Zstandard frame/],
  [
    'Zstandard of 2 GiB',
    packedPage(6, [0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0x80, 1, 0, 0], 12),
    /its frame 2147483648/,
  ],
  ['a window of 512 MiB', packedPage(6, [0x28, 0xb5, 0x2f, 0xfd, 0, 0x98, 1, 0, 0, 0, 0], 12), /window of/],
  ['a page of an unknown type', page({ header: { 1: i32(9) } }), /has the type 9/],
  ['an index page', page({ header: { 1: i32(1) } }), /has the type 1/],
  ['a page without its header', page({ header: { 5: undefined } }), /no header/],
  ['a page header of structs', file({ pages: repeat(500, 0x1c) }), /nested deeper/],
  ['a checksum of another page', page({ header: { 4: i32(12) } }), /checksum/],
  ['minus three values', page({ values: -3 }), /claims -3 values/],
  ['2^31 values', page({ values: 2 ** 31 - 1 }), /more than .* values/],
  ['two values of three', page({ values: 2 }), /2 of 3 rows/],
  ['four values of three', page({ values: 4, body: int32s(1, 2, 3, 4) }), /4 of 3 rows/],
  ['three values in eight bytes', page({ body: int32s(1, 2) }), /ends in the middle/],
  ['an unknown encoding', page({ encoding: 42 }), /encoding 42/],
  ['an encoding for other values', page({ encoding: DELTA_BYTES }), /encoding 7/],
  [
    'texts that reach beyond their page',
    page({ body: [...int32s(1000), 65, 66, 67] }, { type: TYPES.bytes }),
    /ends in the middle/,
  ],
  ['a text of 4 GiB', page({ body: int32s(-1, 0, 0) }, { type: TYPES.bytes }), /ends in the middle/],
  ['indexes without a dictionary', page({ encoding: DICTIONARY }), /without a dictionary/],
  ['an index out of range', indexed([2, ...packed(1, 0b100100, 0)]), /index 2 where 1/],
  ['a repeated index out of range', indexed([8, ...run(3, [200])]), /index 200 where 1/],
  ['indexes of 200 bits', indexed([200, ...run(3, [0])]), /indexes of 200 bits/],
  ['a run of 2^30 indexes', indexed([1, ...run(2 ** 30, [0])]), /run of 1073741824/],
  ['2^30 packed groups', indexed([1, ...packed(2 ** 30, 0)]), /packed values/],
  ['runs of nothing', indexed([1, ...repeat(1000, 0)]), /ends in the middle/],
  [
    'an empty dictionary',
    file({
      type: TYPES.bytes,
      pages: [...dictionaryPage({ body: [], values: 0 }), ...dataPage({ body: [0], values: 3, encoding: DICTIONARY })],
    }),
    /empty dictionary/,
  ],
  [
    'a dictionary of minus one',
    file({ type: TYPES.bytes, pages: dictionaryPage({ body: [], values: -1 }) }),
    /claims -1 values/,
  ],
  [
    'a dictionary of 2^31',
    file({ type: TYPES.bytes, pages: dictionaryPage({ body: [], values: 2 ** 31 - 1 }) }),
    /more than/,
  ],
  ['a level of three where one is the most', optional([...run(3, [3])], int32s(1, 2, 3)), /level or index 3/],
  ['levels for more values', optional([...run(2 ** 20, [1])], int32s(1, 2, 3)), /run of 1048576/],
  ['levels longer than the page', page({ body: int32s(1000) }, { repetition: 1 }), /ends in the middle/],
  ['more present than there are', optional([...run(3, [1])], int32s(1, 2)), /ends in the middle/],
  [
    'blocks of minus eight numbers',
    page({ encoding: DELTA, body: deltas(2 ** 32 - 8, 1, 0, 0, 0) }),
    /more than 31 bits/,
  ],
  ['blocks of no numbers', page({ encoding: DELTA, body: deltas(0, 0, 0, 0, 0) }), /blocks of 0 numbers/],
  ['blocks of 2^30 parts', page({ encoding: DELTA, body: deltas(2 ** 30, 2 ** 27, 0, 0, 0) }), /ends in the middle/],
  [
    'a difference of a thousand bytes',
    page({ encoding: DELTA, body: deltas(128, 4, ...repeat(1000, 0x80)) }),
    /more than 64 bits/,
  ],
  ['differences of 255 bits', page({ encoding: DELTA, body: deltas(128, 4, 0, 0, 255, 255, 255, 255) }), /255 bits/],
  [
    'texts that grow out of each other',
    page(
      { encoding: DELTA_BYTES, body: [...deltas(8, 1, ...varint(2 ** 31 - 2), 0, 0), ...deltas(8, 1, 0, 0, 0)] },
      { type: TYPES.bytes },
    ),
    /impossible lengths/,
  ],
  [
    'split values that are not there',
    page({ encoding: SPLIT, body: [1] }, { type: TYPES.float }),
    /ends in the middle/,
  ],
  [
    'two row groups, one of them cut off',
    file({ footer: { 4: list([struct({ 1: list([]), 2: i64(0), 3: i64(3) })]) } }),
    /has a 0 times/,
  ],
]
