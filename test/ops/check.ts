// Checks cases: forward in every dtype, through strides and compiled; gradients by central differences in f64.
import { describe, expect, it } from 'vitest'
import { Dense, type ErrorCase, FLOATS, type OpCase, type OperandSpec, TOLERANCE } from '../../lib/cases/case.js'
import { compile, type DType, defaultDevice, grad, permute, slice, type Tensor, tensor, vjp } from '../../lib/index.js'
import { isFloat } from '../../lib/schema/dtype.js'
import { decode, encode } from '../../lib/schema/elements.js'

/** A small generator of its own (mulberry32), so that cases never depend on what they test. */
export function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let word = Math.imul(state ^ (state >>> 15), state | 1)
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61)
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32
  }
}

const seedOf = (name: string): number =>
  [...name].reduce((hash, letter) => Math.imul(hash ^ letter.charCodeAt(0), 16777619), 2166136261)

function draw(spec: OperandSpec, random: () => number): Dense {
  const { low = -2, high = 2, integers = false, apart } = spec
  const result = new Dense(spec.shape)
  if (apart !== undefined) {
    const grid = Array.from(result.data, (_, i) => (i - result.data.length / 2 + 0.25) * apart)
    for (let i = grid.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1))
      ;[grid[i], grid[j]] = [grid[j] as number, grid[i] as number]
    }
    result.data.set(grid)
    return result
  }
  return result.map(() => {
    const x = low + random() * (high - low)
    return integers || spec.dtype === 'i32' || spec.dtype === 'i64' ? Math.floor(x) : x
  })
}

/** What is left of the values in a dtype. */
function rounded(values: Dense, dtype: DType): Dense {
  const source =
    isFloat(dtype) || dtype === 'bool'
      ? [...values.data]
      : [...values.data].map((x) => Math.trunc(dtype === 'u8' ? Math.abs(x) : x))
  const { bytes } = encode(source, dtype, (message) => new Error(message))
  const { buffer, byteOffset, byteLength } = bytes
  const data = decode(dtype, buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer)
  return new Dense(values.shape, Array.from(data as ArrayLike<number | bigint>, Number))
}

const dtypeOf = (spec: OperandSpec, dtype: DType): DType => spec.dtype ?? dtype

const toTensor = (values: Dense, dtype: DType): Tensor => tensor([...values.data], { dtype, shape: values.shape })

/** The same values as a view: the axes lie in memory in another order and behind a gap. */
function strided(values: Dense, dtype: DType): Tensor {
  const rank = values.shape.length
  if (rank === 0) return toTensor(values, dtype)
  const axes = values.shape.map((_, axis) => (axis + 1) % rank)
  const apart = [...axes.map((axis) => values.shape[axis] as number), 2]
  const source = Dense.from(apart, (index) => {
    const coordinate = new Array<number>(rank)
    axes.forEach((axis, i) => {
      coordinate[axis] = index[i] as number
    })
    return values.at(...coordinate)
  })
  const back = values.shape.map((_, axis) => axes.indexOf(axis))
  return permute(slice(toTensor(source, dtype), ...axes.map(() => undefined), 1), back)
}

const numbers = async (result: Tensor): Promise<number[]> =>
  Array.from((await result.data()) as ArrayLike<number | bigint>, Number)

function expectClose(
  found: readonly number[],
  wanted: ArrayLike<number>,
  [rtol, atol]: readonly [number, number],
  what: string,
): void {
  expect(found.length, what).toBe(wanted.length)
  for (let i = 0; i < found.length; i++) {
    const [x, y] = [found[i] as number, wanted[i] as number]
    const close =
      Object.is(x, y) || x === y || (Number.isNaN(x) && Number.isNaN(y)) || Math.abs(x - y) <= atol + rtol * Math.abs(y)
    if (!close) expect.fail(`${what}: element ${i} is ${x}, the reference says ${y}`)
  }
}

/** Central differences of `sum(f(operands) * cotangent)` by operand `k`. */
function differences(f: (arrays: Dense[]) => Dense, arrays: readonly Dense[], k: number, cotangent: Dense): Dense {
  const eps = 1e-6
  const value = (position: number, by: number): number => {
    const moved = arrays.map((array, i) => (i === k ? array.map((x, p) => (p === position ? x + by : x)) : array))
    return f(moved).data.reduce((sum, y, i) => sum + y * (cotangent.data[i] as number), 0)
  }
  return (arrays[k] as Dense).map((_, position) => (value(position, eps) - value(position, -eps)) / (2 * eps))
}

function toleranceOf({ tolerance, tensorCoreTolerance }: OpCase, dtype: DType): readonly [number, number] {
  const given = defaultDevice().kind === 'cuda' ? (tensorCoreTolerance ?? tolerance) : tolerance
  return given?.[dtype] ?? TOLERANCE[dtype]
}

function checkForward(op: OpCase): void {
  for (const dtype of op.dtypes ?? FLOATS) {
    it(`${dtype} forward`, async () => {
      const random = generator(seedOf(op.name))
      const arrays = op.operands.map((spec) => rounded(draw(spec, random), dtypeOf(spec, dtype)))
      const wanted = op.reference(...arrays)
      const tensors = op.operands.map((spec, i) => toTensor(arrays[i] as Dense, dtypeOf(spec, dtype)))
      const result = op.run(...tensors)
      expect([...result.shape]).toEqual([...wanted.shape])
      const tolerance = op.exact ? ([0, 0] as const) : toleranceOf(op, result.dtype)
      expectClose(await numbers(result), rounded(wanted, result.dtype).data, tolerance, 'contiguous')
      const views = op.operands.map((spec, i) => strided(arrays[i] as Dense, dtypeOf(spec, dtype)))
      expectClose(await numbers(op.run(...views)), rounded(wanted, result.dtype).data, tolerance, 'strided')
      const compiled = compile((operands: Tensor[]) => op.run(...operands))
      expectClose(await numbers(await compiled(tensors)), rounded(wanted, result.dtype).data, tolerance, 'compiled')
    })
  }
}

function checkGradient(op: OpCase, arrays: readonly Dense[], spec: readonly OperandSpec[]): void {
  const floats = spec.flatMap(({ dtype }, i) => (dtype === undefined || isFloat(dtype) ? [i] : []))
  it('gradient', async () => {
    const random = generator(seedOf(`${op.name} cotangent`))
    const cotangent = draw({ shape: op.reference(...arrays).shape }, random)
    const tensors = spec.map((operand, i) => toTensor(arrays[i] as Dense, dtypeOf(operand, 'f64')))
    const given = vjp(
      [op.run(...tensors)],
      [toTensor(cotangent, 'f64')],
      floats.map((i) => tensors[i] as Tensor),
      { missing: 'zero' },
    )
    for (const i of floats) {
      const wanted = differences((moved) => op.reference(...moved), arrays, i, cotangent)
      expectClose(await numbers(given.get(tensors[i] as Tensor)), wanted.data, [1e-3, 1e-5], `operand ${i}`)
    }
  })
  if ((op.order ?? 2) < 2) return
  it('gradient of the gradient', async () => {
    // Differences of heddle's own first gradient, which the test above compares with the reference.
    const random = generator(seedOf(`${op.name} second`))
    const cotangent = toTensor(draw({ shape: op.reference(...arrays).shape }, random), 'f64')
    const weights = floats.map((i) => draw({ shape: (arrays[i] as Dense).shape }, random))
    const first = (tensors: readonly Tensor[]): Tensor => {
      const given = vjp(
        [op.run(...tensors)],
        [cotangent],
        floats.map((i) => tensors[i] as Tensor),
        { missing: 'zero' },
      )
      return floats
        .map((i, k) =>
          given
            .get(tensors[i] as Tensor)
            .mul(toTensor(weights[k] as Dense, 'f64'))
            .sum(),
        )
        .reduce((a, b) => a.add(b))
    }
    const make = (moved: readonly Dense[]): Tensor[] =>
      spec.map((operand, i) => toTensor(moved[i] as Dense, dtypeOf(operand, 'f64')))
    const tensors = make(arrays)
    const second = grad(
      first(tensors),
      floats.map((i) => tensors[i] as Tensor),
      { missing: 'zero' },
    )
    const eps = 1e-6
    for (const i of floats) {
      const direction = draw({ shape: (arrays[i] as Dense).shape }, random)
      const moved = (by: number): Dense[] =>
        arrays.map((array, k) => (k === i ? array.map((x, p) => x + by * (direction.data[p] as number)) : array))
      const [above, below] = await Promise.all([first(make(moved(eps))).item(), first(make(moved(-eps))).item()])
      const along = await second
        .get(tensors[i] as Tensor)
        .mul(toTensor(direction, 'f64'))
        .sum()
        .item()
      expectClose([Number(along)], [(Number(above) - Number(below)) / (2 * eps)], [1e-3, 1e-4], `operand ${i}`)
    }
  })
}

/** Registers the tests of a family. */
export function checkFamily(family: string, cases: readonly OpCase[], errors: readonly ErrorCase[] = []): void {
  describe(family, () => {
    for (const op of cases) {
      describe(op.name, () => {
        checkForward(op)
        if (op.order === 0) return
        const random = generator(seedOf(op.name))
        checkGradient(
          op,
          op.operands.map((spec) => rounded(draw(spec, random), dtypeOf(spec, 'f64'))),
          op.operands,
        )
      })
    }
    for (const { name, call, error, message } of errors) {
      it(`error: ${name}`, () => {
        expect(call).toThrow(error)
        expect(call).toThrow(message)
      })
    }
  })
}
