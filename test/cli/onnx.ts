// Writes ONNX files for tests: fields of protocol buffers, by number.

type Content = number | bigint | string | Uint8Array | readonly Field[]
export type Field = readonly [number: number, content: Content]

export function varint(value: number | bigint): number[] {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, BigInt(value))
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0))
    rest >>= 7n
  } while (rest > 0n)
  return bytes
}

/** A message of fields; numbers are varints, lists are messages. */
export function message(fields: readonly Field[]): Buffer {
  return Buffer.concat(
    fields.map(([number, content]) => {
      if (typeof content === 'number' || typeof content === 'bigint')
        return Buffer.from([...varint(number * 8), ...varint(content)])
      const bytes =
        typeof content === 'string' ? Buffer.from(content) : content instanceof Uint8Array ? content : message(content)
      return Buffer.concat([Buffer.from([...varint(number * 8 + 2), ...varint(bytes.length)]), bytes])
    }),
  )
}

const value = (name: string, type: number, extents: readonly (number | string)[]): Field[] => [
  [1, name],
  [
    2,
    [
      [
        1,
        [
          [1, type],
          [2, extents.map((extent): Field => [1, [[typeof extent === 'number' ? 1 : 2, extent]]])],
        ],
      ],
    ],
  ],
]

/** x [batch,3] -> MatMul with w [3,2], Add of b, an If with a Relu within, y [batch,2]. */
export const MODEL: readonly Field[] = [
  [1, 9],
  [2, 'test'],
  [3, '1.0'],
  [
    8,
    [
      [1, ''],
      [2, 17],
    ],
  ],
  [
    14,
    [
      [1, 'made'],
      [2, 'by\u001b[2J hand'],
    ],
  ],
  [
    7,
    [
      [2, 'net'],
      [11, value('x', 1, ['batch', 3])],
      [11, value('w', 1, [3, 2])],
      [12, value('y', 1, ['batch', 2])],
      [1, [[4, 'MatMul']]],
      [1, [[4, 'Add']]],
      [1, [[4, 'Add']]],
      [
        1,
        [
          [4, 'If'],
          [
            5,
            [
              [1, 'then_branch'],
              [6, [[1, [[4, 'Relu']]]]],
            ],
          ],
        ],
      ],
      [
        1,
        [
          [4, 'Custom'],
          [7, 'com.example'],
        ],
      ],
      [
        5,
        [
          [1, Uint8Array.from([3, 2])],
          [2, 1],
          [8, 'w'],
          [9, new Uint8Array(24)],
        ],
      ],
      [
        5,
        [
          [1, 2],
          [2, 10],
          [8, 'b'],
          [
            13,
            [
              [1, 'location'],
              [2, 'b.bin'],
            ],
          ],
          [14, 1],
        ],
      ],
    ],
  ],
]
