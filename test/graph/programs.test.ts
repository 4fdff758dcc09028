// Random programs: step by step, fused and compiled they compute the same, and their gradients are those of differences.
import { describe, expect, it } from 'vitest'
import * as h from '../../lib/index.js'
import { generator } from '../ops/check.js'

type Step = (values: readonly h.Tensor[]) => h.Tensor
type Draw = (below: number) => number

/** A step on two earlier values, of which the first has `shape`; not every choice suits every shape. */
function drawStep(draw: Draw, shape: readonly number[], a: number, b: number): Step | undefined {
  const axis = shape.length > 0 ? draw(shape.length) : 0
  const along = <T>(chosen: T, other: T): T[] => shape.map((_, k) => (k === axis ? chosen : other))
  const first = (values: readonly h.Tensor[]): h.Tensor => values[a] as h.Tensor
  const second = (values: readonly h.Tensor[]): h.Tensor => values[b] as h.Tensor
  const keepDims = draw(2) === 1
  const start = draw(shape[axis] ?? 1)
  const step = (1 + draw(2)) * (draw(2) === 1 ? 1 : -1)
  const order = shape.map((_, k) => (k + axis) % shape.length)
  const repeats = 1 + draw(3)
  const choices: readonly Step[] = [
    (v) => first(v).add(second(v)),
    (v) => h.tanh(first(v).mul(second(v))),
    (v) => first(v).tanh(),
    (v) => h.permute(first(v), order),
    (v) => h.slice(first(v), ...along([start, start + 2] as const, undefined)),
    (v) => h.slice(first(v), ...along([undefined, undefined, step] as const, undefined)),
    (v) => first(v).flatten(),
    (v) => h.sum(first(v), { axes: axis, keepDims }),
    (v) => h.max(first(v), { axes: axis, keepDims }),
    (v) => h.softmax(first(v), { axis }),
    (v) => h.tanh(h.matmul(first(v), second(v))),
    (v) => h.concat([first(v), second(v)], { axis }),
    (v) => h.where(first(v).gt(second(v)), first(v), second(v).mul(0.5)),
    (v) => h.broadcastTo(first(v), [repeats, ...shape]),
    (v) => first(v).unsqueeze(axis).squeeze(),
    (v) => h.pad(first(v), along([1, 2] as const, [0, 0] as const)),
  ]
  return choices[draw(choices.length)]
}

interface Program {
  readonly inputs: readonly h.Tensor[]
  readonly steps: readonly Step[]
}

function drawProgram(random: () => number): Program {
  const draw: Draw = (below) => Math.floor(random() * below)
  const shape = Array.from({ length: 1 + draw(3) }, () => 1 + draw(5))
  const size = shape.reduce((a, b) => a * b, 1)
  const inputs = [0, 1, 2].map(() =>
    h.tensor(
      Float64Array.from({ length: size }, () => random() * 4 - 2),
      { shape },
    ),
  )
  const shapes: (readonly number[])[] = inputs.map((x) => x.shape)
  const steps: Step[] = []
  for (let i = 0; i < 14; i++) {
    const [a, b] = [draw(shapes.length), draw(shapes.length)]
    const step = drawStep(draw, shapes[a] as readonly number[], a, b)
    try {
      const result = step?.(shapes.map((own) => h.zeros(own, { dtype: 'f64' })))
      if (!step || !result || result.size > 2000) continue
      steps.push(step)
      shapes.push(result.shape)
    } catch (error) {
      if (!(error instanceof h.ShapeError)) throw error
    }
  }
  return { inputs, steps }
}

/** Everything the steps compute; `each` sees every result before it is used. */
function run({ steps }: Program, inputs: readonly h.Tensor[], each: (x: h.Tensor) => h.Tensor = (x) => x): h.Tensor[] {
  const values = [...inputs]
  for (const step of steps) values.push(each(step(values)))
  return values.slice(inputs.length)
}

const lossOf = (program: Program, inputs: readonly h.Tensor[]): h.Tensor =>
  run(program, inputs)
    .map((x) => x.sin().sum())
    .reduce((a, b) => a.add(b), h.zeros([], { dtype: 'f64' }))

function gradientsOf(program: Program, inputs: readonly h.Tensor[]): h.Tensor[] {
  const found = h.grad(lossOf(program, inputs), inputs, { missing: 'zero' })
  return inputs.map((x) => found.get(x))
}

const read = (list: readonly h.Tensor[]): Promise<number[][]> =>
  Promise.all(list.map(async (x) => Array.from((await x.data()) as Float64Array)))

function expectClose(found: readonly number[][], wanted: readonly number[][], what: string): void {
  const flat = found.flat()
  expect(flat.length, what).toBe(wanted.flat().length)
  wanted.flat().forEach((y, i) => {
    if (!(Math.abs((flat[i] as number) - y) <= 1e-7 + 1e-7 * Math.abs(y)))
      expect.fail(`${what}: element ${i} is ${flat[i]}, not ${y}`)
  })
}

/** Few where every fused program is compiled by the host's C++ compiler. */
const BLOCKS = process.env['HEDDLE_CUDA_EMULATION'] === '1' ? 4 : 20

describe.each(Array.from({ length: BLOCKS }, (_, i) => i))('random programs %i', (block) => {
  it('compute the same step by step, fused and compiled, and so do their gradients', async () => {
    for (let seed = 10 * block; seed < 10 * block + 10; seed++) {
      const random = generator(seed)
      const program = drawProgram(random)
      const { inputs } = program
      const wanted = await read(run(program, inputs, (x) => x.realize()))
      expectClose(await read(run(program, inputs)), wanted, `program ${seed}, fused`)
      const compiled = h.compile((given: h.Tensor[]) => run(program, given))
      expectClose(await read(await compiled([...inputs])), wanted, `program ${seed}, compiled`)
      const slopes = await read(gradientsOf(program, inputs))
      const compiledSlopes = h.compile((given: h.Tensor[]) => gradientsOf(program, given))
      expectClose(await read(await compiledSlopes([...inputs])), slopes, `gradient of program ${seed}, compiled`)

      const direction = inputs.map((x) => Float64Array.from({ length: x.size }, () => random() * 2 - 1))
      const values = await read(inputs)
      const lossAt = async (by: number): Promise<number> => {
        const moved = values.map((list, k) =>
          h.tensor(
            Float64Array.from(list, (x, i) => x + by * (direction[k]?.[i] as number)),
            { shape: (inputs[k] as h.Tensor).shape },
          ),
        )
        return Number(await lossOf(program, moved).item())
      }
      const difference = ((await lossAt(1e-6)) - (await lossAt(-1e-6))) / 2e-6
      const along = slopes
        .flatMap((list, k) => list.map((y, i) => y * (direction[k]?.[i] as number)))
        .reduce((a, b) => a + b, 0)
      expect(Math.abs(along - difference), `gradient of program ${seed}`).toBeLessThanOrEqual(
        1e-5 + 1e-3 * Math.abs(difference),
      )
    }
  })
})
