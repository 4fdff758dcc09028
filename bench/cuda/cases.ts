// The kernel cases: what is run at which size, the bytes and operations it must take, and what it has to reach.
import type { DType } from '../../lib/index.js'

/** What is run; the operands of each kind are in subjects.ts and in gpu/peer_kernels.py. */
export type Kind =
  | 'copy'
  | 'softmax'
  | 'softmaxGrad'
  | 'layerNorm'
  | 'layerNormGrad'
  | 'rmsNorm'
  | 'rmsNormGrad'
  | 'crossEntropy'
  | 'crossEntropyGrad'
  | 'adamw'
  | 'matmul'
  | 'conv'
  | 'convInputGrad'
  | 'convWeightGrad'
  | 'attention'
  | 'attentionGrad'

/** What a case has to reach. */
export interface Goals {
  /** Least share of the copy bandwidth of the same session. */
  readonly copy?: number
  /** Least ratio of every peer's time to ours. */
  readonly peers?: number
  /** Most microseconds that a call of a compiled step keeps the JavaScript thread. */
  readonly callUs?: number
  /** Largest share of the time in which the GPU does nothing. */
  readonly idle?: number
}

export interface KernelCase {
  readonly case: string
  readonly kind: Kind
  readonly dtype: DType
  readonly sizes: Readonly<Record<string, number>>
  /** The shapes of AdamW's parameters. */
  readonly shapes?: readonly (readonly number[])[]
  /** What must go to and from memory: every operand read once, every result written once. */
  readonly bytes: number
  readonly flops: number
  /** How many runs on data of their own are queued at a time, so that no data is found in a cache. */
  readonly copies: number
  readonly goals: Goals
}

const BYTES: Partial<Record<DType, number>> = { f32: 4, bf16: 2, f16: 2 }
const bytesOf = (dtype: DType): number => BYTES[dtype] as number

/** At least as many that a compiled function is replayed (four steps), and no more than it takes to leave every cache. */
const copiesFor = (bytes: number): number => Math.min(8, Math.max(4, Math.ceil(2 ** 32 / bytes)))

function make(
  kind: Kind,
  dtype: DType,
  sizes: Readonly<Record<string, number>>,
  work: { readonly bytes: number; readonly flops: number },
  goals: Goals,
  shapes?: readonly (readonly number[])[],
): KernelCase {
  const size = Object.entries(sizes)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
  const copies = copiesFor(work.bytes)
  return { case: `${kind} ${dtype} ${size}`, kind, dtype, sizes, ...(shapes && { shapes }), ...work, copies, goals }
}

/** Arrays of rows * columns that one row-wise kernel reads and writes, and rows of f32 beside them. */
const ROW_TRAFFIC: Partial<Record<Kind, readonly [arrays: number, vectors: number]>> = {
  copy: [2, 0],
  softmax: [2, 0],
  softmaxGrad: [3, 0],
  layerNorm: [2, 2],
  layerNormGrad: [3, 2],
  rmsNorm: [2, 1],
  rmsNormGrad: [3, 1],
  // The targets (i32), the losses and the logarithms of the sums.
  crossEntropy: [1, 3],
  crossEntropyGrad: [2, 3],
}

function rowWise(kind: Kind, dtype: DType, rows: number, columns: number, copy: number): KernelCase {
  const [arrays, vectors] = ROW_TRAFFIC[kind] as readonly [number, number]
  const bytes = arrays * rows * columns * bytesOf(dtype) + vectors * rows * 4
  return make(kind, dtype, { rows, columns }, { bytes, flops: 0 }, { copy, ...(kind !== 'copy' && { peers: 1 }) })
}

/** The shapes of GPT-2's parameters, tied, as nn.GPT has them. */
export function gpt2Shapes(layers: number, width: number, context: number, vocabSize: number): number[][] {
  const block = [
    [width],
    [width],
    [3 * width, width],
    [3 * width],
    [width, width],
    [width],
    [width],
    [width],
    [4 * width, width],
    [4 * width],
    [width, 4 * width],
    [width],
  ]
  const blocks = Array.from({ length: layers }, () => block).flat()
  return [[vocabSize, width], [context, width], ...blocks, [width], [width]]
}

function adamw(dtype: DType, layers: number, width: number, context: number, vocabSize: number): KernelCase {
  const shapes = gpt2Shapes(layers, width, context, vocabSize)
  const elements = shapes.reduce((sum, shape) => sum + shape.reduce((product, extent) => product * extent, 1), 0)
  // The gradient is read; the parameter and two moments in f32 are read and written.
  const bytes = elements * (3 * bytesOf(dtype) + 16)
  return make('adamw', dtype, { layers, width, elements }, { bytes, flops: 0 }, { copy: 0.9, peers: 1 }, shapes)
}

/** a [m,k] times the transpose of w [n,k]: a linear layer. */
function matmul(dtype: DType, m: number, n: number, k: number): KernelCase {
  const bytes = (m * k + n * k + m * n) * bytesOf(dtype)
  return make('matmul', dtype, { m, n, k }, { bytes, flops: 2 * m * n * k }, { peers: 0.95 })
}

interface Window {
  readonly channels: number
  readonly outputs: number
  readonly extent: number
  readonly kernel: number
  readonly stride: number
}

function conv(kind: Kind, dtype: DType, batch: number, window: Window): KernelCase {
  const { channels, outputs, extent, kernel, stride } = window
  const padding = Math.floor(kernel / 2)
  const out = Math.floor((extent + 2 * padding - kernel) / stride) + 1
  const weight = outputs * channels * kernel * kernel
  const bytes = (batch * (channels * extent ** 2 + outputs * out ** 2) + weight) * bytesOf(dtype)
  const flops = 2 * batch * out ** 2 * weight
  return make(kind, dtype, { batch, ...window, padding, out }, { bytes, flops }, { peers: 0.95 })
}

function attention(kind: Kind, dtype: DType, batch: number, heads: number, length: number, width: number): KernelCase {
  const matrix = batch * heads * length * width * bytesOf(dtype)
  const rows = batch * heads * length * 4
  // Causal: half of two products of [length, length, width] forward, of five backward (Dao 2023, FlashAttention-2).
  const product = batch * heads * length * length * width
  const [bytes, flops] = kind === 'attention' ? [4 * matrix + rows, 2 * product] : [8 * matrix + rows, 5 * product]
  return make(kind, dtype, { batch, heads, length, width, causal: 1 }, { bytes, flops }, { peers: 0.95 })
}

const ROW_KINDS: readonly (readonly [kind: Kind, columns: number, goal: number])[] = [
  ['softmax', 4096, 0.9],
  ['softmaxGrad', 4096, 0.9],
  ['layerNorm', 768, 0.85],
  ['layerNormGrad', 768, 0.8],
  ['rmsNorm', 4096, 0.85],
  ['rmsNormGrad', 4096, 0.8],
  ['crossEntropy', 50304, 0.85],
  ['crossEntropyGrad', 50304, 0.8],
]

/** The 3x3 and 1x1 layers ResNet-50 spends its time in, its first, and one with a stride. */
const WINDOWS: readonly Window[] = [
  { channels: 64, outputs: 64, extent: 56, kernel: 3, stride: 1 },
  { channels: 256, outputs: 128, extent: 56, kernel: 1, stride: 1 },
  { channels: 256, outputs: 256, extent: 28, kernel: 3, stride: 2 },
  { channels: 512, outputs: 512, extent: 7, kernel: 3, stride: 1 },
]

/** m, n and k of GPT-2's layers at 16 x 1024 tokens, and a large square. */
const PRODUCTS: readonly (readonly [m: number, n: number, k: number])[] = [
  [16384, 2304, 768],
  [16384, 3072, 768],
  [16384, 768, 3072],
  [16384, 50304, 768],
  [8192, 8192, 8192],
]

/** Operands of the row-wise cases that are as large as this, so that they are far from fitting into any cache. */
const ROW_ELEMENT_BYTES = 2 ** 28

function rows(): KernelCase[] {
  const list = [rowWise('copy', 'f32', 2 ** 16, 2 ** 13, 0)]
  for (const [kind, columns, goal] of ROW_KINDS)
    for (const dtype of ['f32', 'bf16'] as const) {
      const count = Math.ceil(ROW_ELEMENT_BYTES / bytesOf(dtype) / columns / 1024) * 1024
      list.push(rowWise(kind, dtype, count, columns, goal))
    }
  return [...list, adamw('f32', 12, 768, 1024, 50304), adamw('bf16', 12, 768, 1024, 50304)]
}

function products(): KernelCase[] {
  const convolutions = (['conv', 'convInputGrad', 'convWeightGrad'] as const).flatMap((kind) =>
    WINDOWS.map((window) => conv(kind, 'bf16', 128, window)),
  )
  return [
    ...PRODUCTS.map(([m, n, k]) => matmul('bf16', m, n, k)),
    matmul('f16', 8192, 8192, 8192),
    matmul('f32', 4096, 4096, 4096),
    ...convolutions,
    attention('attention', 'bf16', 16, 12, 1024, 64),
    attention('attentionGrad', 'bf16', 16, 12, 1024, 64),
    attention('attention', 'bf16', 4, 32, 4096, 128),
    attention('attentionGrad', 'bf16', 4, 32, 4096, 128),
  ]
}

/** Every kind once or twice, as small as can be. */
function quickCases(): Record<'rows' | 'products', KernelCase[]> {
  const window = { channels: 8, outputs: 16, extent: 8, kernel: 3, stride: 1 }
  return {
    rows: [
      rowWise('copy', 'f32', 64, 256, 0),
      ...ROW_KINDS.flatMap(([kind, , goal]) => [
        rowWise(kind, 'f32', 32, 96, goal),
        rowWise(kind, 'bf16', 32, 96, goal),
      ]),
      adamw('f32', 1, 16, 8, 32),
      adamw('bf16', 1, 16, 8, 32),
    ],
    products: [
      matmul('f32', 48, 32, 16),
      matmul('bf16', 48, 32, 16),
      ...(['conv', 'convInputGrad', 'convWeightGrad'] as const).map((kind) => conv(kind, 'f32', 2, window)),
      attention('attention', 'f32', 2, 2, 32, 16),
      attention('attentionGrad', 'f32', 2, 2, 32, 16),
    ],
  }
}

export type Group = 'rows' | 'products'

/** The cases of a group: `rows` are bound by memory, `products` by arithmetic. */
export function casesOf(group: Group, quick: boolean): readonly KernelCase[] {
  if (quick) return quickCases()[group]
  return group === 'rows' ? rows() : products()
}
