// Cases of scaled dot-product attention.
import * as h from '../index.js'
import { type Benchmark, Dense, type ErrorCase, type OpCase, type OperandSpec } from './case.js'
import { uniforms } from './philox.js'
import { softmaxOf } from './softmax.js'

interface Options {
  readonly causal?: boolean
  readonly scale?: number
  readonly dropout?: number
}

/** The generator that drops weights starts from here in every run. */
const SEED = 2n ** 40n + 7n

/** What dropout multiplies each weight of [B,H,T,S] with, by its position. */
function dropped(dropout: number, size: number): number[] {
  if (dropout === 0) return new Array<number>(size).fill(1)
  return uniforms(SEED, 0n, size).map((unit) => (unit < Math.fround(dropout) ? 0 : 1 / (1 - dropout)))
}

/** q [B,H,T,D], k [B,Hkv,S,D], v [B,Hkv,S,Dv]; `bias(b, h, i, j)` is added to the scores, -Infinity hides a key. */
function attend(
  q: Dense,
  k: Dense,
  v: Dense,
  { causal = false, scale, dropout = 0 }: Options,
  bias?: (...index: number[]) => number,
): Dense {
  const [batch, heads, queries, width] = q.shape as [number, number, number, number]
  const [own, keys] = k.shape.slice(1) as [number, number]
  const factor = scale ?? 1 / Math.sqrt(width)
  const kept = dropped(dropout, batch * heads * queries * keys)
  const result = new Dense([batch, heads, queries, v.shape[3] as number])
  let position = 0
  for (let b = 0; b < batch; b++) {
    for (let head = 0; head < heads; head++) {
      const group = Math.floor(head / (heads / own))
      for (let i = 0; i < queries; i++) {
        const scores = Array.from({ length: keys }, (_, j) => {
          if (causal && j > i + keys - queries) return Number.NEGATIVE_INFINITY
          let sum = 0
          for (let d = 0; d < width; d++) sum += q.at(b, head, i, d) * k.at(b, group, j, d)
          return sum * factor + (bias?.(b, head, i, j) ?? 0)
        })
        // A query that sees nothing gives zeros.
        const weights = scores.some(Number.isFinite) ? softmaxOf(scores) : scores.map(() => 0)
        for (let d = 0; d < (v.shape[3] as number); d++) {
          result.data[position++] = weights.reduce((sum, weight, j) => {
            const first = ((b * heads + head) * queries + i) * keys
            return sum + (kept[first + j] as number) * weight * v.at(b, group, j, d)
          }, 0)
        }
      }
    }
  }
  return result
}

/** The element of a mask of fewer or unit axes beside [b, h, i, j]. */
const broadcast =
  (mask: Dense) =>
  (...index: number[]): number =>
    mask.at(...index.slice(4 - mask.shape.length).map((coordinate, axis) => (mask.shape[axis] === 1 ? 0 : coordinate)))

const shapes = (b: number, heads: number, own: number, t: number, s: number, d: number, dv = d): OperandSpec[] => [
  { shape: [b, heads, t, d] },
  { shape: [b, own, s, d] },
  { shape: [b, own, s, dv] },
]

/**
 * Tensor cores take weights rounded to 16 bits, each by up to half a unit in its last place (Dao 2023 has the same), so a
 * result is off by up to that part of the largest value, which is 2, over the probability of keeping a weight.
 */
function tolerance({ dropout = 0 }: Options): Pick<OpCase, 'tensorCoreTolerance'> {
  const largest = 2 / (1 - dropout)
  return { tensorCoreTolerance: { bf16: [1.6e-2, largest * 2 ** -8], f16: [1e-3, largest * 2 ** -11] } }
}

type Row = readonly [name: string, operands: readonly OperandSpec[], options?: Options, timed?: readonly OperandSpec[]]

/** Attention whose weights are dropped by a generator of its own, which starts afresh. */
const run =
  (options: Options) =>
  (q: h.Tensor, k: h.Tensor, v: h.Tensor, mask?: h.Tensor): h.Tensor =>
    h.scaledDotProductAttention(q, k, v, { ...options, mask, generator: new h.Generator(SEED) })

const PLAIN: readonly Row[] = [
  ['attention', shapes(2, 3, 3, 4, 4, 5), {}, shapes(4, 8, 8, 512, 512, 64)],
  ['with another width of values', shapes(1, 2, 2, 3, 5, 4, 7), {}, shapes(4, 8, 8, 512, 512, 64, 96)],
  ['causal', shapes(2, 2, 2, 5, 5, 4), { causal: true }, shapes(4, 8, 8, 512, 512, 64)],
  ['causal with more keys than queries', shapes(1, 2, 2, 3, 6, 4), { causal: true }, shapes(4, 8, 8, 256, 512, 64)],
  ['causal with queries that see nothing', shapes(1, 2, 2, 6, 4, 4), { causal: true }],
  ['grouped heads', shapes(2, 6, 2, 3, 4, 4), {}, shapes(4, 12, 4, 512, 512, 64)],
  ['one head of keys for all, causal', shapes(1, 4, 1, 4, 4, 3), { causal: true }, shapes(4, 8, 1, 512, 512, 64)],
  ['its own scale', shapes(1, 2, 2, 3, 3, 4), { scale: 0.3 }],
  ['one query', shapes(2, 2, 2, 1, 6, 4), { causal: true }, shapes(64, 8, 8, 1, 1024, 64)],
  ['dropout', shapes(2, 3, 3, 4, 4, 5), { dropout: 0.3 }, shapes(4, 8, 8, 512, 512, 64)],
  ['dropout where rows start inside a block of the draw', shapes(2, 2, 2, 3, 7, 4, 6), { dropout: 0.5 }],
  ['dropout, causal', shapes(2, 2, 2, 5, 5, 4), { causal: true, dropout: 0.25 }, shapes(4, 8, 8, 512, 512, 64)],
  ['dropout, causal with more keys than queries', shapes(1, 2, 2, 3, 6, 4), { causal: true, dropout: 0.4 }],
  ['dropout, causal with queries that see nothing', shapes(1, 2, 2, 6, 4, 4), { causal: true, dropout: 0.4 }],
  ['dropout, grouped heads', shapes(2, 6, 2, 3, 5, 4), { dropout: 0.1 }],
]

const LONG: readonly Row[] = [
  ['several blocks of queries and keys', shapes(1, 2, 1, 150, 210, 16), { causal: true }],
  ['several blocks of queries and keys, dropout', shapes(1, 2, 1, 150, 210, 16), { causal: true, dropout: 0.2 }],
  ['as many queries as keys, heads of 80', shapes(1, 2, 1, 300, 300, 80), { causal: true }],
  ['wider heads of queries than of values', shapes(1, 1, 1, 70, 130, 144, 100), {}],
  ['the widest heads, dropout', shapes(1, 1, 1, 40, 70, 256), { causal: true, dropout: 0.2 }],
]

/** Rows that are whole packs of 16 bytes in 16 bits: what cuDNN's engines take. */
const PACKED: readonly Row[] = [
  ['packed rows', shapes(2, 3, 3, 20, 40, 8)],
  ['packed rows, causal, grouped heads', shapes(2, 4, 2, 33, 33, 16), { causal: true }],
  ['packed rows, causal with more keys than queries', shapes(1, 2, 2, 20, 77, 64), { causal: true }],
  ['packed rows, another width of values, its own scale', shapes(1, 4, 1, 9, 30, 24, 40), { scale: 0.3 }],
  ['packed rows, a scale below zero', shapes(1, 2, 2, 9, 30, 8), { scale: -0.5 }],
  ['packed rows, causal with queries that see nothing', shapes(1, 2, 2, 20, 13, 8), { causal: true }],
]

/** What is said of attention as a whole; of one query memory is the limit. */
const SOFTMAX: Pick<Benchmark, 'reason'> = {
  reason: 'the exponentials of a softmax between its two products, which are of small blocks',
}

const bool = (shape: readonly number[]): OperandSpec => ({ shape, low: 0, high: 2, integers: true, dtype: 'bool' })

const MASKED: readonly (readonly [shape: readonly number[], options?: Options])[] = [
  [[2, 2, 4, 5]],
  [[4, 5]],
  [[2, 1, 1, 5]],
  [[4, 1]],
  [[1, 2, 4, 5], { causal: true }],
  [[2, 1, 4, 5], { dropout: 0.3 }],
  [[4, 5], { causal: true, dropout: 0.3 }],
]

/** A mask as it is timed, of 4 batches of 8 heads of 512 queries and keys: axes that are there stay, unit axes too. */
const largeMask = (shape: h.Shape): number[] =>
  shape.map((extent, axis) => (extent === 1 ? 1 : ([4, 8, 512, 512][axis + 4 - shape.length] as number)))

const nameOf = ({ causal, dropout }: Options): string => `${causal ? ', causal' : ''}${dropout ? ', dropout' : ''}`

const masks: OpCase[] = MASKED.flatMap(([shape, options = {}]): OpCase[] => [
  {
    name: `a bool mask [${shape}]${nameOf(options)}`,
    operands: [...shapes(2, 2, 1, 4, 5, 3), bool(shape)],
    bench: { operands: [...shapes(4, 8, 4, 512, 512, 64), bool(largeMask(shape))], ...SOFTMAX },
    run: run(options) as OpCase['run'],
    reference: (q, k, v, mask) =>
      attend(q, k as Dense, v as Dense, options, (...index) =>
        broadcast(mask as Dense)(...index) ? 0 : Number.NEGATIVE_INFINITY,
      ),
    ...tolerance(options),
  },
  {
    name: `a float mask [${shape}]${nameOf(options)}`,
    operands: [...shapes(2, 2, 1, 4, 5, 3), { shape }],
    bench: { operands: [...shapes(4, 8, 4, 512, 512, 64), { shape: largeMask(shape) }], ...SOFTMAX },
    run: run(options) as OpCase['run'],
    reference: (q, k, v, mask) => attend(q, k as Dense, v as Dense, options, broadcast(mask as Dense)),
    ...tolerance(options),
  },
])

/** Heads of one matrix [B,T,3C], as a transformer block makes them. */
const heads = (x: h.Tensor, count: number): h.Tensor[] =>
  h
    .split(x, (x.shape[2] as number) / 3, 2)
    .map((part) => part.reshape(x.shape[0] as number, x.shape[1] as number, count, -1).permute(0, 2, 1, 3))

const headsOf = (x: Dense, count: number): Dense[] => {
  const [batch, length, wide] = x.shape as [number, number, number]
  const width = wide / 3 / count
  return [0, 1, 2].map((part) =>
    Dense.from([batch, count, length, width], ([b, head, t, d]) =>
      x.at(b as number, t as number, (part * wide) / 3 + (head as number) * width + (d as number)),
    ),
  )
}

export const CASES: readonly OpCase[] = [
  ...PLAIN.map(
    ([name, operands, options = {}, timed]): OpCase => ({
      name,
      operands,
      run: run(options) as OpCase['run'],
      reference: (q, k, v) => attend(q, k as Dense, v as Dense, options),
      ...(timed && { bench: { operands: timed, ...(name !== 'one query' && SOFTMAX) } }),
      ...tolerance(options),
    }),
  ),
  ...masks,
  ...[4, 8].map(
    (width): OpCase => ({
      name: `heads of ${width} that are views of one [B,T,3C] matrix`,
      operands: [{ shape: [2, 5, 3 * 2 * width] }],
      run: (x) => {
        const [q, k, v] = heads(x, 2) as [h.Tensor, h.Tensor, h.Tensor]
        return h
          .scaledDotProductAttention(q, k, v, { causal: true })
          .permute(0, 2, 1, 3)
          .reshape(2, 5, 2 * width)
      },
      reference: (x) => {
        const [q, k, v] = headsOf(x, 2) as [Dense, Dense, Dense]
        const out = attend(q, k, v, { causal: true })
        return Dense.from([2, 5, 2 * width], ([b, t, c]) =>
          out.at(b as number, Math.floor((c as number) / width), t as number, (c as number) % width),
        )
      },
      order: width === 4 ? 2 : 0,
      ...tolerance({}),
    }),
  ),
  ...[...LONG, ...PACKED].map(
    ([name, operands, options = {}]): OpCase => ({
      name,
      operands,
      run: run(options) as OpCase['run'],
      reference: (q, k, v) => attend(q, k as Dense, v as Dense, options),
      order: 0,
      ...tolerance(options),
    }),
  ),
  {
    name: 'no keys',
    operands: shapes(1, 2, 2, 3, 0, 4),
    run: (q, k, v) => h.scaledDotProductAttention(q, k as h.Tensor, v as h.Tensor),
    reference: () => new Dense([1, 2, 3, 4]),
    order: 0,
  },
  {
    name: 'dropout of probability 0 drops nothing',
    operands: shapes(1, 2, 2, 3, 4, 4),
    run: (q, k, v) => h.scaledDotProductAttention(q, k as h.Tensor, v as h.Tensor, { dropout: 0 }),
    reference: (q, k, v) => attend(q, k as Dense, v as Dense, {}),
    dtypes: ['f32'],
    order: 0,
  },
]

const zeros = (...shape: number[]): h.Tensor => h.zeros(shape)
const call = (q: h.Tensor, k: h.Tensor, v: h.Tensor, options?: h.AttentionOptions) => (): h.Tensor =>
  h.scaledDotProductAttention(q, k, v, options)
const square = (): [h.Tensor, h.Tensor, h.Tensor] => [zeros(1, 2, 3, 4), zeros(1, 2, 3, 4), zeros(1, 2, 3, 4)]

export const ERRORS: readonly ErrorCase[] = [
  {
    name: 'too few axes',
    call: call(zeros(2, 3, 4), zeros(2, 3, 4), zeros(2, 3, 4)),
    error: h.ShapeError,
    message: /scaledDotProductAttention: it takes q \[B,H,T,D\].*not q \[2,3,4\]/,
  },
  {
    name: 'other lengths of keys and values',
    call: call(zeros(1, 2, 3, 4), zeros(1, 2, 5, 4), zeros(1, 2, 3, 4)),
    error: h.ShapeError,
    message: /lengths of k and v must be equal.*k \[1,2,5,4\], v \[1,2,3,4\]/,
  },
  {
    name: 'other widths',
    call: call(zeros(1, 2, 3, 4), zeros(1, 2, 3, 5), zeros(1, 2, 3, 4)),
    error: h.ShapeError,
    message: /heads of one width/,
  },
  {
    name: 'heads that are no multiple',
    call: call(zeros(1, 3, 3, 4), zeros(1, 2, 3, 4), zeros(1, 2, 3, 4)),
    error: h.ShapeError,
    message: /must be a multiple/,
  },
  {
    name: 'heads of no width',
    call: call(zeros(1, 1, 3, 0), zeros(1, 1, 3, 0), zeros(1, 1, 3, 4)),
    error: h.ArgumentError,
    message: /heads have no width/,
  },
  {
    name: 'other dtypes',
    call: () =>
      h.scaledDotProductAttention(
        h.zeros([1, 1, 1, 1]),
        h.zeros([1, 1, 1, 1], { dtype: 'f64' }),
        h.zeros([1, 1, 1, 1]),
      ),
    error: h.DTypeError,
    message: /q is f32, k is f64/,
  },
  {
    name: 'an integer mask',
    call: call(...square(), { mask: h.zeros([3, 3], { dtype: 'i32' }) }),
    error: h.DTypeError,
    message: /the mask is bool .* not i32/,
  },
  {
    name: 'a mask of another shape',
    call: call(...square(), { mask: zeros(3, 4) }),
    error: h.ShapeError,
    message: /the mask \[3,4\] does not broadcast to \[1,2,3,3\]/,
  },
  {
    name: 'a scale that is NaN',
    call: call(...square(), { scale: Number.NaN }),
    error: h.ArgumentError,
    message: /scale must be a number finite, not NaN/,
  },
  {
    name: 'a dropout of 2',
    call: call(...square(), { dropout: 2 }),
    error: h.ArgumentError,
    message: /dropout must be a number from 0 to 1, not 2/,
  },
  {
    name: 'a seed as a generator',
    call: call(...square(), { dropout: 0.5, generator: 3 as never }),
    error: h.ArgumentError,
    message: /scaledDotProductAttention: the generator is .*not a Generator/,
  },
]
