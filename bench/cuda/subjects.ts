// heddle's side of every kernel case: a function to be compiled that runs it several times, each on data of its own,
// into cells. Results in cells lie where they are written; those that are returned would be copied out of a replay.
import { apply } from '../../lib/graph/node.js'
import { kernelOps, type Op } from '../../lib/graph/op.js'
import {
  assign,
  Cell,
  cast,
  conv2d,
  type DType,
  Gradients,
  matmul,
  optim,
  Parameter,
  permute,
  randomNormal,
  randomUniform,
  type Shape,
  scaledDotProductAttention,
  Tensor,
  transpose,
  zeros,
} from '../../lib/index.js'
import type { KernelCase, Kind } from './cases.js'

type Sizes = Readonly<Record<string, number>>
type Params = Readonly<Record<string, unknown>>

/** One copy of a case: what it reads, where its results go, and how they come from what it reads. */
interface Copy {
  readonly inputs: readonly Tensor[]
  readonly cells: readonly Cell[]
  record(inputs: readonly Tensor[]): readonly Tensor[]
}

export interface Subject {
  /** What `run` is to be called with: what it closed over would be held by the compiled function. */
  readonly inputs: readonly (readonly Tensor[])[]
  /** To be compiled: all copies. */
  run(inputs: readonly (readonly Tensor[])[]): void
  /** What one copy writes, to see that something was computed. */
  readonly written: readonly Tensor[]
  dispose(): void
}

function kernelNamed(name: string): Op {
  const op = kernelOps().find((known) => known.name === name)
  if (!op) throw new Error(`subjects: there is no kernel ${name}`)
  return op
}

/** A kernel by its name, where no function of the library stands for it alone: the backward ones. */
const kernel = (name: string, params: Params, operands: readonly Tensor[]): Tensor[] =>
  apply(
    kernelNamed(name),
    params,
    operands.map(({ value }) => value),
  ).outputs.map((value) => new Tensor(value))

const normal = (shape: Shape, dtype: DType): Tensor => randomNormal(shape, { dtype: dtype as 'f32' }).realize()
const cellOf = (shape: Shape, dtype: DType): Cell => new Cell(zeros(shape, { dtype }))

/** One kernel and nothing else. */
function kernelCopy(name: string, params: Params, inputs: readonly Tensor[]): Copy {
  const specs = kernelNamed(name).infer(inputs, params as never)
  return {
    inputs,
    cells: specs.map(({ shape, dtype }) => cellOf(shape, dtype)),
    record: (given) => kernel(name, params, given),
  }
}

/** What a forward kernel computes, now, for its backward one to read. */
function computed(name: string, params: Params, inputs: readonly Tensor[]): Tensor[] {
  return kernel(name, params, inputs).map((result) => result.realize())
}

type Maker = (dtype: DType, sizes: Sizes) => Copy

const EPS = 1e-5

function norm(name: 'layerNorm' | 'rmsNorm', backward: boolean): Maker {
  return (dtype, { rows = 0, columns = 0 }) => {
    const x = normal([rows, columns], dtype)
    const gamma = normal([columns], dtype)
    const forward = [x, gamma, ...(name === 'layerNorm' ? [normal([columns], dtype)] : [])]
    if (!backward) return kernelCopy(name, { axes: 1, eps: EPS }, forward)
    const [y, ...statistics] = computed(name, { axes: 1, eps: EPS }, forward)
    y?.dispose()
    return kernelCopy(`${name}Grad`, { axes: 1 }, [normal([rows, columns], dtype), x, gamma, ...statistics])
  }
}

const CROSS_ENTROPY = { ignoreIndex: -100, labelSmoothing: 0 }

function crossEntropy(backward: boolean): Maker {
  return (dtype, { rows = 0, columns = 0 }) => {
    const targets = cast(randomUniform([rows], { high: columns }), 'i32').realize()
    const given = [normal([rows, columns], dtype), targets]
    if (!backward) return kernelCopy('crossEntropy', CROSS_ENTROPY, given)
    const [loss, lse] = computed('crossEntropy', CROSS_ENTROPY, given) as [Tensor, Tensor]
    loss.dispose()
    return kernelCopy('crossEntropyGrad', CROSS_ENTROPY, [...given, lse, normal([rows], 'f32')])
  }
}

/** Convolutions on channels-last memory, as networks have it: [N,H,W,C] seen as [N,C,H,W], and back. */
const logical = (x: Tensor): Tensor => permute(x, [0, 3, 1, 2])
const physical = (x: Tensor): Tensor => permute(x, [0, 2, 3, 1])

function convolution(kind: Kind): Maker {
  return (dtype, sizes) => {
    const { batch = 0, channels = 0, outputs = 0, extent = 0, kernel: k = 0, stride = 1, padding = 0, out = 0 } = sizes
    const input = [batch, extent, extent, channels]
    const output = [batch, out, out, outputs]
    const weight = [outputs, channels, k, k]
    const operand = (shape: Shape): Tensor => normal(shape, dtype)
    // The last window of a stride may end before the padding does: the rest of it is left away.
    const high = (out - 1) * stride + k - extent - padding
    const window = { stride: [stride, stride], padding: [padding, padding, high, high], dilation: [1, 1], groups: 1 }
    if (kind === 'conv') {
      return {
        inputs: [operand(input), operand(weight)],
        cells: [cellOf(output, dtype)],
        record: ([x, w]) => [physical(conv2d(logical(x as Tensor), w as Tensor, { stride, padding }))],
      }
    }
    if (kind === 'convInputGrad') {
      const params = { ...window, inputShape: [batch, channels, extent, extent] }
      return {
        inputs: [operand(output), operand(weight)],
        cells: [cellOf(input, dtype)],
        record: ([dy, w]) => kernel(kind, params, [logical(dy as Tensor), w as Tensor]).map(physical),
      }
    }
    return {
      inputs: [operand(input), operand(output)],
      cells: [cellOf(weight, dtype)],
      record: (given) => kernel(kind, { ...window, weightShape: weight }, given.map(logical)),
    }
  }
}

/** Heads as views of [B,T,H,D], as a transformer's projections give them; and back. */
const swapHeads = (x: Tensor): Tensor => permute(x, [0, 2, 1, 3])

function attention(backward: boolean): Maker {
  return (dtype, { batch = 0, heads = 0, length = 0, width = 1 }) => {
    const shape = [batch, length, heads, width]
    const [q, k, v] = [0, 1, 2].map(() => normal(shape, dtype)) as [Tensor, Tensor, Tensor]
    if (!backward) {
      return {
        inputs: [q, k, v],
        cells: [cellOf(shape, dtype)],
        record: (given) => {
          const [a, b, c] = given.map(swapHeads) as [Tensor, Tensor, Tensor]
          return [swapHeads(scaledDotProductAttention(a, b, c, { causal: true }))]
        },
      }
    }
    const params = { scale: 1 / Math.sqrt(width), causal: true, hasMask: false, dropout: 0, offset: 0 }
    const [out, lse] = computed('attention', params, [q, k, v].map(swapHeads)) as [Tensor, Tensor]
    return {
      // In the order of q, as the kernel leaves it: it is computed once more in memory of that order.
      inputs: [q, k, v, swapHeads(out).realize(), lse, normal(shape, dtype)],
      cells: [q, k, v].map(() => cellOf(shape, dtype)),
      record: ([a, b, c, o, l, d]) => {
        const heads = [a, b, c, o].map((x) => swapHeads(x as Tensor))
        return kernel('attentionGrad', params, [...heads, l as Tensor, swapHeads(d as Tensor)]).map(swapHeads)
      },
    }
  }
}

const MAKERS: Record<Exclude<Kind, 'adamw'>, Maker> = {
  copy: (dtype, { rows = 0, columns = 0 }) => ({
    inputs: [normal([rows, columns], dtype)],
    cells: [cellOf([rows, columns], dtype)],
    record: (given) => given,
  }),
  softmax: (dtype, { rows = 0, columns = 0 }) => kernelCopy('softmax', {}, [normal([rows, columns], dtype)]),
  softmaxGrad: (dtype, { rows = 0, columns = 0 }) => {
    const x = normal([rows, columns], dtype)
    const y = computed('softmax', {}, [x])
    x.dispose()
    return kernelCopy('softmaxGrad', {}, [...y, normal([rows, columns], dtype)])
  },
  layerNorm: norm('layerNorm', false),
  layerNormGrad: norm('layerNorm', true),
  rmsNorm: norm('rmsNorm', false),
  rmsNormGrad: norm('rmsNorm', true),
  crossEntropy: crossEntropy(false),
  crossEntropyGrad: crossEntropy(true),
  // A linear layer's: the weight is stored transposed.
  matmul: (dtype, { m = 0, n = 0, k = 0 }) => ({
    inputs: [normal([m, k], dtype), normal([n, k], dtype)],
    cells: [cellOf([m, n], dtype)],
    record: ([a, w]) => [matmul(a as Tensor, transpose(w as Tensor))],
  }),
  conv: convolution('conv'),
  convInputGrad: convolution('convInputGrad'),
  convWeightGrad: convolution('convWeightGrad'),
  attention: attention(false),
  attentionGrad: attention(true),
}

/** AdamW as people call it: each copy is an optimizer with parameters and moments of its own. */
function adamw({ dtype, shapes = [], copies }: KernelCase): Subject {
  const each = Array.from({ length: copies }, () => {
    const parameters = shapes.map((shape) => new Parameter(randomNormal(shape, { dtype: dtype as 'f32', std: 0.02 })))
    return { parameters, optimizer: new optim.AdamW(parameters, { lr: 1e-3 }) }
  })
  const inputs = each.map(() => shapes.map((shape) => normal(shape, dtype)))
  return {
    inputs,
    run: (given) =>
      each.forEach(({ parameters, optimizer }, copy) => {
        const gradients = given[copy] as readonly Tensor[]
        optimizer.step(new Gradients(parameters.map((parameter, i) => [parameter, gradients[i] as Tensor])))
      }),
    written: each[0]?.parameters.slice(0, 2) ?? [],
    dispose: () => {
      for (const tensor of [...inputs, ...each.map(({ parameters }) => parameters)].flat()) tensor.dispose()
    },
  }
}

/** The case on the default device, with its operands made. */
export function subjectOf(subject: KernelCase): Subject {
  const { kind, dtype, sizes } = subject
  if (kind === 'adamw') return adamw(subject)
  const copies = Array.from({ length: subject.copies }, () => MAKERS[kind](dtype, sizes))
  return {
    inputs: copies.map(({ inputs }) => inputs),
    run: (given) =>
      assign(
        copies.flatMap(({ cells, record }, copy) => {
          const results = record(given[copy] as readonly Tensor[])
          return cells.map((cell, i) => [cell, results[i] as Tensor] as const)
        }),
      ),
    written: copies[0]?.cells ?? [],
    dispose: () => {
      for (const { inputs, cells } of copies) for (const tensor of [...inputs, ...cells]) tensor.dispose()
    },
  }
}
