// Models against references: outputs, gradients of all parameters, and what is written back.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import {
  arange,
  cast,
  compile,
  cos,
  grad,
  mul,
  reshape,
  type StateDict,
  sum,
  type Tensor,
  type TensorState,
} from '../../lib/index.js'
import { readSafetensors } from '../../lib/io/index.js'
import { type PretrainedModel, savePretrained } from '../../lib/models/index.js'
import { temporaryFolder } from '../io/folder.js'
import { type Shapes, waves } from './weights.js'

/** What every reference has. */
export interface Expected {
  /** Elements in order; 0 where a token only fills up its row. */
  readonly outputs: Readonly<Record<string, readonly number[]>>
  /** Of each parameter: the gradient's length, and its product with cos(1), cos(2), ... */
  readonly gradients: Readonly<Record<string, readonly [number, number]>>
}

const TOLERANCE = 1e-4

export function expectNear(what: string, found: ArrayLike<number>, expected: ArrayLike<number>, scale = 1): void {
  expect(found.length, what).toBe(expected.length)
  for (let i = 0; i < expected.length; i++)
    expect(Math.abs((found[i] as number) - (expected[i] as number)), `${what} at ${i}`).toBeLessThan(TOLERANCE * scale)
}

const sumOf = (tensors: readonly Tensor[]): Tensor =>
  tensors.map((x) => sum(mul(reshape(x, [-1]), cos(cast(arange(x.size), 'f32'))))).reduce((a, b) => a.add(b))

/** Outputs as the reference's, by name, and gradients of the sum of their products with cos(0), cos(1), ... */
export async function expectReference(
  model: PretrainedModel,
  { outputs, gradients }: Expected,
  run: () => Readonly<Record<string, Tensor | undefined>>,
): Promise<void> {
  const parameters = model.namedParameters()
  const compiled = compile(() => {
    const all = run()
    const found = Object.keys(outputs).map((key) => all[key] as Tensor)
    const slopes = grad(sumOf(found), model.parameters())
    return { found, gradients: parameters.map(([, parameter]) => slopes.get(parameter) as Tensor) }
  })
  const result = await compiled()
  for (const [i, [key, expected]] of Object.entries(outputs).entries())
    expectNear(key, (await (result.found[i] as Tensor).data()) as Float32Array, expected)
  expect(parameters.map(([key]) => key).sort()).toEqual(Object.keys(gradients).sort())
  for (const [i, [key]] of parameters.entries()) {
    const data = (await (result.gradients[i] as Tensor).data()) as Float32Array
    const direction = waves(data.length, 1)
    const length = Math.sqrt(data.reduce((total, x) => total + x * x, 0))
    const along = data.reduce((total, x, j) => total + x * (direction[j] as number), 0)
    const expected = gradients[key] as readonly [number, number]
    expectNear(`gradient of ${key}`, [length, along], expected, Math.max(1, expected[0]))
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength)

/** Saves the model; its files hold the names, shapes and elements of the reference. Gives its config as it was written. */
export async function expectWritten(model: PretrainedModel, weights: Shapes, state: StateDict): Promise<string> {
  const folder = await temporaryFolder()
  await savePretrained(model, folder)
  const written = await readSafetensors(folder)
  expect(Object.keys(written).sort()).toEqual(Object.keys(weights).sort())
  for (const [key, { data, shape }] of Object.entries(written)) {
    expect(shape, key).toEqual(weights[key])
    expect(Buffer.compare(bytesOf(data), bytesOf((state[key] as TensorState).data)), key).toBe(0)
  }
  return readFile(join(folder, 'config.json'), 'utf8')
}
