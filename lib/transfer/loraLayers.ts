// The layers that low-rank adapters are for: linear ones, GPT-2's, convolutions and embeddings.
import { Parameter } from '../cell.js'
import { Conv1D } from '../models/gpt2.js'
import { Conv2d } from '../nn/conv.js'
import { Embedding } from '../nn/embedding.js'
import { normal, zeros } from '../nn/initialize.js'
import { Linear } from '../nn/linear.js'
import type { Module } from '../nn/module.js'
import { conv2d } from '../ops/conv.js'
import { add, cast, mul } from '../ops/element.js'
import { embedding } from '../ops/gather.js'
import { matmul } from '../ops/matmul.js'
import { reshape, transpose, unsqueeze } from '../ops/view.js'
import { ArgumentError } from '../runtime/errors.js'
import type { FloatDType } from '../schema/dtype.js'
import type { Shape } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import { LoraLayer, type LoraSettings, type Named, without } from './loraLayer.js'

type Weight = { readonly weight: Parameter }

/** One whose factors are weights of layers, in PEFT's names. */
abstract class LoraOfWeights extends LoraLayer {
  lora_A: Named<Weight> = {}
  lora_B: Named<Weight> = {}

  readonly factorNames = ['lora_A.weight', 'lora_B.weight'] as const

  protected factorsOf(name: string) {
    return [(this.lora_A[name] as Weight).weight, (this.lora_B[name] as Weight).weight] as const
  }

  protected put(name: string, [a, b]: readonly [Parameter, Parameter]): void {
    this.lora_A = { ...this.lora_A, [name]: { weight: a } }
    this.lora_B = { ...this.lora_B, [name]: { weight: b } }
  }

  protected drop(name: string): void {
    this.lora_A = without(this.lora_A, name)
    this.lora_B = without(this.lora_B, name)
  }
}

/** `nn.Linear` with adapters: A [rank, in], B [out, rank]. */
class LoraLinear extends LoraOfWeights {
  protected readonly inputAxes: number = 1

  shapes(rank: number) {
    const [out, inputs] = this.weight.shape as [number, number]
    return [
      [rank, inputs],
      [out, rank],
    ] as const
  }

  protected product(x: Tensor): Tensor {
    return matmul(x, transpose(this.weight))
  }

  protected low(x: Tensor, a: Tensor, b: Tensor): Tensor {
    return matmul(matmul(cast(x, a.dtype), transpose(a)), transpose(b))
  }

  protected change(a: Tensor, b: Tensor): Tensor {
    return matmul(b, a)
  }

  protected perOutput(numbers: Tensor): Tensor {
    return unsqueeze(numbers, 1)
  }
}

/** The same for a layer whose weight is [in, out]: GPT-2's, `fan_in_fan_out` in PEFT. */
class LoraTransposed extends LoraLinear {
  protected override readonly inputAxes = 0

  override shapes(rank: number) {
    const [inputs, out] = this.weight.shape as [number, number]
    return [
      [rank, inputs],
      [out, rank],
    ] as const
  }

  protected override product(x: Tensor): Tensor {
    return matmul(x, this.weight)
  }

  protected override change(a: Tensor, b: Tensor): Tensor {
    return transpose(matmul(b, a))
  }

  protected override perOutput(numbers: Tensor): Tensor {
    return numbers
  }
}

/** `nn.Conv2d` with adapters: A [rank, in, KH, KW] slides as the layer does, B [out, rank, 1, 1] mixes. */
class LoraConv2d extends LoraOfWeights {
  declare protected readonly sliding: object
  protected readonly inputAxes = [1, 2, 3]

  shapes(rank: number) {
    const [out, ...inputs] = this.weight.shape as [number, ...number[]]
    return [
      [rank, ...inputs],
      [out, rank, 1, 1],
    ] as const
  }

  protected product(x: Tensor): Tensor {
    return conv2d(x, this.weight, this.sliding)
  }

  protected low(x: Tensor, a: Tensor, b: Tensor): Tensor {
    return conv2d(conv2d(cast(x, a.dtype), a, this.sliding), b)
  }

  protected change(a: Tensor, b: Tensor): Tensor {
    const [rank, ...inputs] = a.shape as [number, ...number[]]
    const flat = matmul(reshape(b, [-1, rank]), reshape(a, [rank, -1]))
    return reshape(flat, [b.shape[0] as number, ...inputs])
  }

  protected perOutput(numbers: Tensor): Tensor {
    return reshape(numbers, [-1, 1, 1, 1])
  }
}

/** `nn.Embedding` with adapters: A [rank, count] starts at 0, B [width, rank] normal. Nothing is dropped, as in PEFT. */
class LoraEmbedding extends LoraLayer {
  declare readonly paddingIndex: number | undefined
  protected readonly inputAxes = 1
  lora_embedding_A: Named<Parameter> = {}
  lora_embedding_B: Named<Parameter> = {}
  readonly factorNames = ['lora_embedding_A', 'lora_embedding_B'] as const

  shapes(rank: number) {
    const [count, width] = this.weight.shape as [number, number]
    return [
      [rank, count],
      [width, rank],
    ] as const
  }

  protected factorsOf(name: string) {
    return [this.lora_embedding_A[name] as Parameter, this.lora_embedding_B[name] as Parameter] as const
  }

  protected put(name: string, [a, b]: readonly [Parameter, Parameter]): void {
    this.lora_embedding_A = { ...this.lora_embedding_A, [name]: a }
    this.lora_embedding_B = { ...this.lora_embedding_B, [name]: b }
  }

  protected drop(name: string): void {
    this.lora_embedding_A = without(this.lora_embedding_A, name)
    this.lora_embedding_B = without(this.lora_embedding_B, name)
  }

  protected product(x: Tensor): Tensor {
    return embedding(this.weight, x, { paddingIndex: this.paddingIndex })
  }

  override forward(x: Tensor): Tensor {
    const { active, merged } = this
    const y = this.base.forward(x)
    if (active === undefined || merged) return y
    const [a, b] = this.factorsOf(active)
    const { scale } = this.settingsOf(active) as LoraSettings
    return cast(add(y, mul(this.low(x, a, b), scale)), y.dtype)
  }

  protected low(indices: Tensor, a: Tensor, b: Tensor): Tensor {
    return matmul(embedding(transpose(a), indices, { paddingIndex: this.paddingIndex }), transpose(b))
  }

  protected change(a: Tensor, b: Tensor): Tensor {
    return transpose(matmul(b, a))
  }

  protected perOutput(numbers: Tensor): Tensor {
    return unsqueeze(numbers, 1)
  }

  protected override start(a: Shape, b: Shape, dtype: FloatDType): readonly [Parameter, Parameter] {
    return [
      new Parameter(zeros(a, { dtype }), { name: 'LoRA A' }),
      new Parameter(normal(b, { dtype }), { name: 'LoRA B' }),
    ]
  }
}

/** A layer of its kind around `module`; undefined where there is none for it. Throws `ArgumentError` where the settings do not fit. */
export function loraAround(module: Module, name: string, { dora }: LoraSettings): LoraLayer | undefined {
  const op = 'lora'
  if (module instanceof Linear) return new LoraLinear(module)
  if (module instanceof Conv1D) return new LoraTransposed(module)
  if (!(module instanceof Conv2d || module instanceof Embedding)) return undefined
  if (dora)
    throw new ArgumentError(`${op}: DoRA is for linear layers, and ${name} is a ${module.constructor.name} layer`)
  if (module instanceof Conv2d && module.groups !== 1)
    throw new ArgumentError(
      `${op}: ${name} is a convolution of ${module.groups} groups; only those of one can be adapted`,
    )
  return module instanceof Conv2d ? new LoraConv2d(module) : new LoraEmbedding(module)
}
