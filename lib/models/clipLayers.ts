// The layers that CLIP's two towers are made of: a pre-norm transformer (Radford et al. 2021).
import { isDeferred } from '../cell.js'
import { normal } from '../nn/initialize.js'
import { Linear } from '../nn/linear.js'
import { Module } from '../nn/module.js'
import { LayerNorm } from '../nn/norm.js'
import { add } from '../ops/element.js'
import type { FloatDType } from '../schema/dtype.js'
import type { Tensor } from '../tensor.js'
import { type Activation, activationOf } from './activation.js'
import type { ConfigReader } from './config.js'
import { type AttendOptions, attend } from './layers.js'
import { initializeWeights } from './model.js'

/** What the layers of a tower need to know of its config. */
export interface TowerSettings {
  readonly width: number
  readonly layers: number
  readonly heads: number
  readonly inner: number
  readonly activation: Activation
  readonly attentionDropout: number
  readonly eps: number
  /** Of fresh embeddings, and of all fresh weights. */
  readonly std: number
  readonly factor: number
  readonly dtype: FloatDType
}

export interface TowerDefaults {
  readonly width: number
  readonly heads: number
  readonly inner: number
}

/** With the defaults that transformers' `CLIPTextConfig` and `CLIPVisionConfig` share. */
export function towerSettings(reader: ConfigReader, defaults: TowerDefaults, dtype: FloatDType): TowerSettings {
  const width = reader.integer('hidden_size', defaults.width)
  const heads = reader.integer('num_attention_heads', defaults.heads)
  reader.headWidth('hidden_size', width, 'num_attention_heads', heads)
  return {
    width,
    heads,
    layers: reader.layers('num_hidden_layers', 12),
    inner: reader.integer('intermediate_size', defaults.inner),
    activation: activationOf(reader, 'hidden_act', 'quick_gelu'),
    attentionDropout: reader.number('attention_dropout', 0, 0, 1),
    eps: reader.number('layer_norm_eps', 1e-5),
    std: reader.number('initializer_range', 0.02),
    factor: reader.number('initializer_factor', 1),
    dtype,
  }
}

class Attention extends Module {
  readonly k_proj: Linear
  readonly v_proj: Linear
  readonly q_proj: Linear
  readonly out_proj: Linear
  private readonly heads: number
  private readonly dropout: number

  constructor({ width, heads, attentionDropout, dtype }: TowerSettings) {
    super()
    this.heads = heads
    this.dropout = attentionDropout
    this.k_proj = new Linear(width, width, { dtype })
    this.v_proj = new Linear(width, width, { dtype })
    this.q_proj = new Linear(width, width, { dtype })
    this.out_proj = new Linear(width, width, { dtype })
  }

  forward(x: Tensor, seen: AttendOptions): Tensor {
    const dropout = this.training ? this.dropout : 0
    const [q, k, v] = [this.q_proj.forward(x), this.k_proj.forward(x), this.v_proj.forward(x)]
    return this.out_proj.forward(attend(q, k, v, this.heads, { ...seen, dropout }))
  }
}

class FeedForward extends Module {
  readonly fc1: Linear
  readonly fc2: Linear
  private readonly activation: Activation

  constructor({ width, inner, activation, dtype }: TowerSettings) {
    super()
    this.activation = activation
    this.fc1 = new Linear(width, inner, { dtype })
    this.fc2 = new Linear(inner, width, { dtype })
  }

  forward(x: Tensor): Tensor {
    return this.fc2.forward(this.activation(this.fc1.forward(x)))
  }
}

/** A layer; `seen` says which tokens see which. */
export class ClipLayer extends Module {
  readonly self_attn: Attention
  readonly layer_norm1: LayerNorm
  readonly mlp: FeedForward
  readonly layer_norm2: LayerNorm

  constructor(settings: TowerSettings) {
    super()
    const { width, eps, dtype } = settings
    this.self_attn = new Attention(settings)
    this.layer_norm1 = new LayerNorm(width, { eps, dtype })
    this.mlp = new FeedForward(settings)
    this.layer_norm2 = new LayerNorm(width, { eps, dtype })
  }

  forward(x: Tensor, seen: AttendOptions): Tensor {
    const attended = add(x, this.self_attn.forward(this.layer_norm1.forward(x), seen))
    return add(attended, this.mlp.forward(this.layer_norm2.forward(attended)))
  }
}

/** Fresh weights as transformers starts them: by the tower's width and depth. */
export function initializeTower(tower: Module, { width, layers, std, factor, dtype }: TowerSettings): void {
  if (isDeferred()) return
  const root = width ** -0.5
  const stds: readonly (readonly [RegExp, number])[] = [
    [/class_embedding$/, root],
    [/embedding/, std],
    [/out_proj/, root],
    [/fc1/, (2 * width) ** -0.5],
    // The ends of branches, and what leads into attention.
    [/fc2|_proj/, root * (2 * layers) ** -0.5],
  ]
  for (const [name, parameter] of tower.namedParameters()) {
    const found = stds.find(([pattern]) => pattern.test(name))
    if (found && !name.endsWith('bias')) parameter.assign(normal(parameter.shape, { std: found[1] * factor, dtype }))
    else initializeWeights([[name, parameter]], std)
  }
}
