// Bottleneck adapters: small networks behind layers of a frozen model (Houlsby et al. 2019, Pfeiffer et al. 2021).
import type { Parameter } from '../cell.js'
import { Conv1D } from '../models/gpt2.js'
import { normal, zeros } from '../nn/initialize.js'
import { GELU, ReLU } from '../nn/layers.js'
import { Linear } from '../nn/linear.js'
import { type Layer, Module } from '../nn/module.js'
import { replaceModules } from '../nn/replace.js'
import { integerFrom, oneOf, optionsOf } from '../ops/arguments.js'
import { add, cast } from '../ops/element.js'
import { statisticOf } from '../ops/norm.js'
import type { Pattern } from '../pattern.js'
import { ArgumentError } from '../runtime/errors.js'
import type { FloatDType } from '../schema/dtype.js'
import type { Tensor } from '../tensor.js'
import { Wrapper } from './wrapper.js'

/** x + up(activation(down(x))): [..., width] -> [..., width]. It starts as x, `up` being 0. */
export class Bottleneck extends Module {
  readonly down: Linear
  readonly activation: Module & Layer
  readonly up: Linear

  constructor(
    width: number,
    size: number,
    options: { readonly dtype?: FloatDType; readonly activation?: 'relu' | 'gelu' } = {},
  ) {
    super()
    const { dtype = 'f32', activation = 'relu' } = options
    integerFrom('Bottleneck', 'size', size, 1)
    this.down = new Linear(width, size, { dtype })
    this.down.weight.assign(normal([size, width], { std: 0.02, dtype }))
    this.down.bias?.assign(zeros([size], { dtype }))
    this.activation = activation === 'relu' ? new ReLU() : new GELU()
    this.up = new Linear(size, width, { dtype })
    this.up.weight.assign(zeros([width, size], { dtype }))
    this.up.bias?.assign(zeros([width], { dtype }))
  }

  forward(x: Tensor): Tensor {
    const inner = this.activation.forward(this.down.forward(cast(x, this.down.weight.dtype)))
    return cast(add(x, this.up.forward(inner)), x.dtype)
  }
}

/** A layer with a bottleneck behind it. */
class WithBottleneck extends Wrapper {
  enabled = true

  constructor(
    base: Module & Layer,
    readonly adapter: Bottleneck,
  ) {
    super(base)
  }

  forward(x: Tensor): Tensor {
    const y = this.base.forward(x)
    return this.enabled ? this.adapter.forward(y) : y
  }
}

export interface BottleneckOptions {
  /** Width of the bottleneck. Default 64. */
  readonly size?: number
  /** Default `relu`. */
  readonly activation?: 'relu' | 'gelu'
  /**
   * `houlsby`: behind attention and behind the feed-forward part; `pfeiffer`: behind the latter alone. Default `pfeiffer`.
   */
  readonly kind?: 'houlsby' | 'pfeiffer'
  /** Names of the linear layers they stand behind. Default: those of `kind`, for every family of heddle/models. */
  readonly targets?: Pattern
  /** Names of parameters that are trained too, a new head for example. Default: none. */
  readonly alsoTrain?: Pattern
}

/** The last linear layers of both parts: of BERT and RoBERTa, DistilBERT, GPT-2, Llama and Qwen2, `nn.TransformerBlock`. */
const ENDS = {
  pfeiffer: /^(?!.*attention\.output\.dense$)(.*\.)?(output\.dense|ffn\.lin2|mlp\.(c_proj|down_proj)|contract)$/,
  houlsby:
    /^(.*\.)?(output\.dense|out_lin|ffn\.lin2|(attn|mlp)\.c_proj|o_proj|down_proj|attention\.projection|contract)$/,
}

/** Bottlenecks on a model. */
export class Bottlenecks {
  /** @internal */
  constructor(
    readonly model: Module,
    private readonly layers: ReadonlyMap<string, WithBottleneck>,
    private readonly others: readonly Parameter[],
    private readonly before: ReadonlyMap<Parameter, boolean>,
  ) {}

  /** Names of the layers they stand behind. */
  get names(): string[] {
    return [...this.layers.keys()]
  }

  /** What is trained. */
  parameters(): Parameter[] {
    return [...[...this.layers.values()].flatMap(({ adapter }) => adapter.parameters()), ...this.others]
  }

  /** Whether they take part. */
  get enabled(): boolean {
    return [...this.layers.values()].some(({ enabled }) => enabled)
  }

  set enabled(enabled: boolean) {
    for (const layer of this.layers.values()) layer.enabled = enabled
  }

  /** Takes them off the model; what was trainable is so again. */
  remove(): void {
    const all = new Set<Module>(this.layers.values())
    replaceModules(this.model, (module) => (all.has(module) ? (module as WithBottleneck).base : undefined))
    for (const [parameter, trainable] of this.before) parameter.trainable = trainable
  }
}

/**
 * Puts bottlenecks behind layers of a model, in place, and freezes everything else. They change nothing at first. Layers
 * keep their names; the bottlenecks are `...output.dense.adapter`. Throws `ArgumentError` where no linear layer fits.
 *
 * @example const adapters = bottleneckAdapters(bert, { size: 16, alsoTrain: 'classifier' })
 */
export function bottleneckAdapters(model: Module, options: BottleneckOptions = {}): Bottlenecks {
  const op = 'bottleneckAdapters'
  if (!(model instanceof Module)) throw new ArgumentError(`${op}: it takes a module`)
  const { size = 64, activation = 'relu', kind = 'pfeiffer', targets, alsoTrain } = optionsOf(op, options)
  oneOf(op, 'kind', kind, ['houlsby', 'pfeiffer'])
  oneOf(op, 'activation', activation, ['relu', 'gelu'])
  const before = new Map(model.parameters().map((parameter) => [parameter, parameter.trainable]))
  const replaced = replaceModules(
    model,
    (module) => {
      if (!(module instanceof Linear || module instanceof Conv1D)) return undefined
      const { shape, dtype } = module.weight
      const width = (module instanceof Linear ? shape[0] : shape[1]) as number
      return new WithBottleneck(
        module,
        new Bottleneck(width, size, { dtype: statisticOf(dtype) as FloatDType, activation }),
      )
    },
    targets ?? ENDS[kind],
  )
  const layers = new Map(replaced.map(({ name, after }) => [name, after as WithBottleneck]))
  for (const parameter of before.keys()) parameter.trainable = false
  const others: Parameter[] = []
  if (alsoTrain !== undefined) {
    try {
      model.unfreeze(alsoTrain)
    } catch (error) {
      new Bottlenecks(model, layers, [], before).remove()
      throw error
    }
    others.push(...[...before.keys()].filter(({ trainable }) => trainable))
  }
  return new Bottlenecks(model, layers, others, before)
}
