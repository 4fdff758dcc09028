// Initialisers beside PyTorch's: which distribution is drawn from, told from draws of it and standard draws alike.
import { Generator, nn, randomNormal, randomUniform, type Shape, type Tensor } from '../lib/index.js'
import { type Case, numbers } from './case.js'

const { initialize } = nn
type Options = { readonly generator: Generator; readonly dtype: 'f64' }
const MATRIX = [24, 40]
const KERNEL = [8, 4, 3, 3]

/** [low, high] of a uniform, [mean, std] of a normal distribution, by the line through two of its draws. */
async function distribution(
  kind: 'uniform' | 'normal',
  shape: Shape,
  draw: (options: Options) => Tensor,
): Promise<number[]> {
  const standard = kind === 'uniform' ? randomUniform : randomNormal
  const x = await numbers(standard(shape, { generator: new Generator(5), dtype: 'f64' }))
  const y = await numbers(draw({ generator: new Generator(5), dtype: 'f64' }))
  const first = x.indexOf(Math.min(...x))
  const last = x.indexOf(Math.max(...x))
  const at = (i: number): readonly [number, number] => [x[i] as number, y[i] as number]
  const [[x0, y0], [x1, y1]] = [at(first), at(last)]
  const slope = (y1 - y0) / (x1 - x0)
  const start = y0 - x0 * slope
  return kind === 'uniform' ? [start, start + slope] : [start, slope]
}

const initialiser = (
  name: string,
  kind: 'uniform' | 'normal',
  shape: readonly number[],
  call: string,
  draw: (shape: Shape, options: Options) => Tensor,
): Case => ({
  case: `initialiser: ${name}`,
  calls: { torch: call },
  request: { kind: 'initialiser', shape },
  steps: 1,
  theirs: (answer) => [answer as number[]],
  ours: async () => [await distribution(kind, shape as Shape, (options) => draw(shape as Shape, options))],
})

export const initialisers: readonly Case[] = [
  initialiser('uniform', 'uniform', MATRIX, 'init.uniform_(t, -0.3, 0.7)', (shape, options) =>
    initialize.uniform(shape, { ...options, low: -0.3, high: 0.7 }),
  ),
  initialiser('normal', 'normal', MATRIX, 'init.normal_(t, 0.5, 0.2)', (shape, options) =>
    initialize.normal(shape, { ...options, mean: 0.5, std: 0.2 }),
  ),
  initialiser('kaimingUniform', 'uniform', MATRIX, 'init.kaiming_uniform_(t)', initialize.kaimingUniform),
  initialiser(
    'kaimingUniform of a kernel, fanOut, relu',
    'uniform',
    KERNEL,
    'init.kaiming_uniform_(t, mode="fan_out", nonlinearity="relu")',
    (shape, options) => initialize.kaimingUniform(shape, { ...options, mode: 'fanOut', nonlinearity: 'relu' }),
  ),
  initialiser('kaimingNormal, leakyRelu', 'normal', MATRIX, 'init.kaiming_normal_(t, a=0.2)', (shape, options) =>
    initialize.kaimingNormal(shape, { ...options, slope: 0.2 }),
  ),
  initialiser(
    'kaimingNormal of a kernel, selu',
    'normal',
    KERNEL,
    'init.kaiming_normal_(t, nonlinearity="selu")',
    (shape, options) => initialize.kaimingNormal(shape, { ...options, nonlinearity: 'selu' }),
  ),
  initialiser('xavierUniform', 'uniform', KERNEL, 'init.xavier_uniform_(t)', initialize.xavierUniform),
  initialiser(
    'xavierNormal, tanh',
    'normal',
    MATRIX,
    'init.xavier_normal_(t, init.calculate_gain("tanh"))',
    (shape, options) => initialize.xavierNormal(shape, { ...options, gain: initialize.gain('tanh') }),
  ),
  initialiser(
    'what linear layers start with',
    'uniform',
    MATRIX,
    'init.kaiming_uniform_(t, a=math.sqrt(5))',
    (shape, options) => initialize.uniformByFan(shape, initialize.fans(shape).fanIn, options),
  ),
]
