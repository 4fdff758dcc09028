// Cases of selection by index: take, embedding, indexCopy, gather, scatterAdd, oneHot.
import * as h from '../index.js'
import {
  type Benchmark,
  Dense,
  ELEMENTS,
  type ErrorCase,
  forEachIndex,
  MATRIX,
  type OpCase,
  type OperandSpec,
} from './case.js'

export const EVERY = ['f32', 'f64', 'bf16', 'f16', 'i8', 'i32', 'i64'] as const
type Index = 'i32' | 'i64'

const indices = (shape: readonly number[], high: number, dtype: Index = 'i32'): OperandSpec => ({
  shape,
  low: 0,
  high,
  integers: true,
  dtype,
})
const values = (shape: readonly number[]): OperandSpec => ({ shape, low: -9, high: 10, integers: true })

/** NumPy's take along `axis`: the axes of the index stand where it was. */
function take(x: Dense, index: Dense, axis: number): Dense {
  const rank = index.shape.length
  return Dense.from([...x.shape.slice(0, axis), ...index.shape, ...x.shape.slice(axis + 1)], (at) =>
    x.at(...at.slice(0, axis), index.at(...at.slice(axis, axis + rank)), ...at.slice(axis + rank)),
  )
}

const gather = (x: Dense, index: Dense, axis: number): Dense =>
  Dense.from(index.shape, (at) => x.at(...at.map((coordinate, k) => (k === axis ? index.at(...at) : coordinate))))

function scatterAdd(x: Dense, index: Dense, source: Dense, axis: number): Dense {
  const sums = new Map<string, number>()
  forEachIndex(index.shape, (at, position) => {
    const key = at.map((coordinate, k) => (k === axis ? (index.data[position] as number) : coordinate)).join()
    sums.set(key, (sums.get(key) ?? 0) + (source.data[position] as number))
  })
  return Dense.from(x.shape, (at) => x.at(...at) + (sums.get(at.join()) ?? 0))
}

/** Rows written one after the other. */
function indexCopy(x: Dense, index: Dense, rows: Dense): Dense {
  const width = x.shape.slice(1).reduce((product, extent) => product * extent, 1)
  const result = new Dense(x.shape, x.data)
  index.data.forEach((row, i) => result.data.set(rows.data.subarray(i * width, (i + 1) * width), row * width))
  return result
}

type Copies = readonly [x: h.Shape, index: h.Shape, dtype: Index, timed?: readonly [h.Shape, h.Shape]]

const INDEX_COPIES: readonly Copies[] = [
  [[5, 3], [4], 'i32', [[65536, 128], [32768]]],
  [[9], [2, 3], 'i64', [[ELEMENTS], [1024, 1024]]],
  [[4, 3, 2], [], 'i32'],
  [[3, 4], [0], 'i32'],
  [[2, 3], [9], 'i32'],
  [[70, 16], [40], 'i64', [[ELEMENTS / 16, 16], [ELEMENTS / 32]]],
]

type Selection = readonly [x: h.Shape, index: h.Shape, axis: number, dtype: Index, timed?: readonly [h.Shape, h.Shape]]

const TAKES: readonly Selection[] = [
  // biome-ignore format: a table
  ...([
    [[5, 3], [4], 0, 'i32', [[65536, 128], [65536]]],
    [[5], [2, 3], 0, 'i64', [[ELEMENTS], [1024, 2048]]],
    [[4, 3, 2], [2, 2], 1, 'i32', [[16, 4096, 128], [64, 64]]],
    [[2, 3, 6], [3], -1, 'i64', [[64, 64, 2048], [2048]]],
    [[3, 2], [], 0, 'i32'],
    [[3, 4], [0], 0, 'i32'],
  ] as const),
]

const GATHERS: readonly Selection[] = [
  // biome-ignore format: a table
  ...([
    [[4, 3], [6, 3], 0, 'i32', [[4096, 1024], [4096, 1024]]],
    [[4, 5], [4, 2], 1, 'i64', [MATRIX, [2048, 2048]]],
    [[2, 4, 3], [2, 5, 2], 1, 'i32', [[16, 1024, 256], [16, 1024, 256]]],
    [[7], [3], -1, 'i32', [[ELEMENTS], [2 ** 22]]],
  ] as const),
]

/** What is said of few elements at each place. */
const AT_RANDOM: Pick<Benchmark, 'reason'> = {
  reason: 'places at random: for each, memory moves a line of 64 bytes or more',
}

/** How a selection is timed, with more operands behind. */
const timedSelection = (
  [, , axis, dtype, timed]: Selection,
  more: (index: h.Shape) => readonly OperandSpec[] = () => [],
  single = false,
): Pick<OpCase, 'bench'> => {
  if (!timed) return {}
  const [x, index] = timed
  const together = x.slice(axisFrom(axis, x.length) + 1).reduce((size, extent) => size * extent, 1)
  return {
    bench: {
      operands: [values(x), indices(index, x.at(axis) as number, dtype), ...more(index)],
      // Of gather each element, of take each row behind the axis.
      ...((together <= 16 || single) && AT_RANDOM),
    },
  }
}

export const axisFrom = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis)

export const CASES: readonly OpCase[] = [
  ...TAKES.map((selection): OpCase => {
    const [x, index, axis, dtype] = selection
    return {
      name: `take [${index}] of [${x}] along axis ${axis}, ${dtype}`,
      operands: [values(x), indices(index, x.at(axis) as number, dtype)],
      run: (a, i) => h.take(a, i as h.Tensor, { axis }),
      reference: (a, i) => take(a, i as Dense, axisFrom(axis, x.length)),
      dtypes: EVERY,
      exact: true,
      ...timedSelection(selection),
    }
  }),
  {
    name: 'take of many rows',
    operands: [values([50, 33]), indices([400], 50)],
    bench: { operands: [values([16384, 512]), indices([16384], 16384)] },
    run: (x, i) => h.take(x, i as h.Tensor),
    reference: (x, i) => take(x, i as Dense, 0),
    exact: true,
    order: 0,
  },
  {
    name: 'the gradient of take adds up equal rows',
    operands: [values([6, 5]), indices([40], 6), values([40, 5])],
    bench: {
      operands: [values([8192, 512]), indices([16384], 8192), values([16384, 512])],
    },
    run: (x, i, dy) => h.vjp([h.take(x, i as h.Tensor)], [dy as h.Tensor], [x]).get(x),
    reference: (x, i, dy) =>
      Dense.from(x.shape, ([row, column]) =>
        [...(i as Dense).data].reduce(
          (sum, at, k) => (at === row ? sum + (dy as Dense).at(k, column as number) : sum),
          0,
        ),
      ),
    dtypes: ['f32', 'f64', 'f16'],
    exact: true,
    order: 0,
  },
  {
    name: 'embedding',
    operands: [{ shape: [7, 4] }, indices([2, 3], 7)],
    bench: { operands: [{ shape: [32000, 256] }, indices([16, 1024], 32000)] },
    run: (x, i) => h.embedding(x, i as h.Tensor),
    reference: (x, i) => take(x, i as Dense, 0),
  },
  ...INDEX_COPIES.map(
    ([x, index, dtype, timed]): OpCase => ({
      name: `indexCopy of rows [${index}] to [${x}], ${dtype}`,
      operands: [values(x), indices(index, x[0] as number, dtype), values([...index, ...x.slice(1)])],
      run: (a, i, rows) => h.indexCopy(a, i as h.Tensor, rows as h.Tensor),
      reference: (a, i, rows) => indexCopy(a, i as Dense, rows as Dense),
      dtypes: EVERY,
      exact: true,
      ...(timed && {
        bench: {
          operands: [
            values(timed[0]),
            indices(timed[1], timed[0][0] as number, dtype),
            values([...timed[1], ...timed[0].slice(1)]),
          ],
          ...(timed[0].slice(1).reduce((size, extent) => size * extent, 1) <= 16 && AT_RANDOM),
        },
      }),
    }),
  ),
  {
    // More indices than one block looks at, many of them equal.
    name: 'indexCopy of many rows',
    operands: [values([500, 9]), indices([1500], 500), values([1500, 9])],
    bench: { operands: [values([20000, 129]), indices([60000], 20000), values([60000, 129])] },
    run: (x, i, rows) => h.indexCopy(x, i as h.Tensor, rows as h.Tensor),
    reference: (x, i, rows) => indexCopy(x, i as Dense, rows as Dense),
    dtypes: ['f32', 'bf16', 'i8'],
    exact: true,
    order: 0,
  },
  ...GATHERS.flatMap((selection): OpCase[] => {
    const [x, index, axis, dtype] = selection
    return [
      {
        name: `gather [${index}] of [${x}] along axis ${axis}, ${dtype}`,
        operands: [values(x), indices(index, x.at(axis) as number, dtype)],
        run: (a, i) => h.gather(a, i as h.Tensor, { axis }),
        reference: (a, i) => gather(a, i as Dense, axisFrom(axis, x.length)),
        dtypes: EVERY,
        exact: true,
        ...timedSelection(selection, () => [], true),
      },
      {
        name: `scatterAdd [${index}] into [${x}] along axis ${axis}, ${dtype}`,
        operands: [values(x), indices(index, x.at(axis) as number, dtype), values(index)],
        run: (a, i, source) => h.scatterAdd(a, i as h.Tensor, source as h.Tensor, { axis }),
        reference: (a, i, source) => scatterAdd(a, i as Dense, source as Dense, axisFrom(axis, x.length)),
        dtypes: EVERY,
        exact: true,
        ...timedSelection(selection, (shape) => [values(shape)], true),
      },
    ]
  }),
  {
    name: 'oneHot, an index out of range giving zeros',
    operands: [{ shape: [3, 4], low: -2, high: 7, integers: true, dtype: 'i32' }],
    bench: {
      operands: [{ shape: [1024, 1024], low: -2, high: 7, integers: true, dtype: 'i32' }],
      instructions: 'indices are repeated, compared and converted',
    },
    run: (i) => h.oneHot(i, 5),
    reference: (i) => Dense.from([3, 4, 5], ([a, b, k]) => Number(i.at(a as number, b as number) === k)),
    dtypes: ['f32'],
    exact: true,
    order: 0,
  },
  {
    name: 'oneHot of no classes',
    operands: [indices([3], 1)],
    run: (i) => h.oneHot(i, 0, { dtype: 'bool' }),
    reference: () => new Dense([3, 0]),
    dtypes: ['i32'],
    order: 0,
  },
]

const x = (): h.Tensor => h.zeros([3, 4])
const i = (...shape: number[]): h.Tensor => h.zeros(shape, { dtype: 'i32' })

export const ERRORS: readonly ErrorCase[] = [
  {
    name: 'take of a scalar',
    call: () => h.take(h.tensor(1), i(2)),
    error: h.ShapeError,
    message: /take: a scalar has no axis/,
  },
  {
    name: 'take by floats',
    call: () => h.take(x(), h.zeros([2])),
    error: h.DTypeError,
    message: /take: indices are i32 or i64, not f32/,
  },
  {
    name: 'take along no axis',
    call: () => h.take(x(), i(2), { axis: 2 }),
    error: h.ShapeError,
    message: /take: there is no axis 2/,
  },
  {
    name: 'indexCopy to a scalar',
    call: () => h.indexCopy(h.tensor(1), i(2), h.zeros([2])),
    error: h.ShapeError,
    message: /indexCopy: a scalar has no rows/,
  },
  {
    name: 'indexCopy of rows of another shape',
    call: () => h.indexCopy(x(), i(2), h.zeros([2, 3])),
    error: h.ShapeError,
    message: /indexCopy: the rows must have shape \[2,4\], not \[2,3\]/,
  },
  {
    name: 'indexCopy of rows of another dtype',
    call: () => h.indexCopy(x(), i(2), i(2, 4)),
    error: h.DTypeError,
    message: /indexCopy: x is f32, the rows is i32/,
  },
  {
    name: 'a table of three axes',
    call: () => h.embedding(h.zeros([2, 3, 4]), i(2)),
    error: h.ShapeError,
    message: /embedding: the table must be \[V,C\], not \[2,3,4\]/,
  },
  {
    name: 'a paddingIndex that is no row',
    call: () => h.embedding(x(), i(2), { paddingIndex: 3 }),
    error: h.ArgumentError,
    message: /paddingIndex 3 is no row of a table \[3,4\]/,
  },
  {
    name: 'a negative paddingIndex',
    call: () => h.embedding(x(), i(2), { paddingIndex: -1 }),
    error: h.ArgumentError,
    message: /paddingIndex must be an integer from 0 up, not -1/,
  },
  {
    name: 'gather with another rank',
    call: () => h.gather(x(), i(3), { axis: 0 }),
    error: h.ShapeError,
    message: /gather: x \[3,4\] and the index \[3\] must have the same number of axes/,
  },
  {
    name: 'gather with a larger index',
    call: () => h.gather(x(), i(3, 5), { axis: 0 }),
    error: h.ShapeError,
    message: /gather: the index \[3,5\] is larger than x \[3,4\] along axis 1/,
  },
  {
    name: 'scatterAdd of another dtype',
    call: () => h.scatterAdd(x(), i(3, 4), h.zeros([3, 4], { dtype: 'f64' }), { axis: 0 }),
    error: h.DTypeError,
    message: /scatterAdd: x is f32, the source is f64/,
  },
  {
    name: 'scatterAdd of another shape',
    call: () => h.scatterAdd(x(), i(3, 4), h.zeros([3, 3]), { axis: 0 }),
    error: h.ShapeError,
    message: /scatterAdd: the source \[3,3\] must have the shape of the index, \[3,4\]/,
  },
  {
    name: 'a fractional number of classes',
    call: () => h.oneHot(i(2), 1.5),
    error: h.ArgumentError,
    message: /oneHot: classes must be an integer from 0 up, not 1.5/,
  },
  {
    name: 'oneHot of an unknown dtype',
    call: () => h.oneHot(i(2), 2, { dtype: 'u16' as never }),
    error: h.DTypeError,
    message: /oneHot: there is no dtype 'u16'/,
  },
]
