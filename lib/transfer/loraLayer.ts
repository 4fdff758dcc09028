// What every layer with low-rank adapters is: it stands in the place of the layer it adapts, and has its parameters under its names.
//
// A wrapped layer keeps `weight` and `bias` as they were called, so that patterns, checkpoints and state dicts of the model
// go on working; what an adapter adds has PEFT's names beside them (`lora_A.default.weight`). PEFT itself renames the wrapped
// parameters (`base_layer.weight`), which its folders never show.
import { assign, Cell, Parameter } from '../cell.js'
import { uniformByFan, zeros } from '../nn/initialize.js'
import type { Layer, Module } from '../nn/module.js'
import { add, cast, div, mul, sqrt, sub } from '../ops/element.js'
import { statisticOf } from '../ops/norm.js'
import { dropout } from '../ops/random.js'
import { sum } from '../ops/reduce.js'
import { stopGradient } from '../ops/view.js'
import type { FloatDType } from '../schema/dtype.js'
import { type Shape, sizeOf } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import { Wrapper } from './wrapper.js'

/** How one adapter works in one layer. */
export interface LoraSettings {
  readonly rank: number
  /** Factor of what the adapter adds. */
  readonly scale: number
  /** Probability of dropping an input of the adapter while training. */
  readonly dropout: number
  /** Whether the weight's direction and magnitude are adapted apart (DoRA). */
  readonly dora: boolean
}

/** The name of DoRA's magnitudes in PEFT's files. */
export const MAGNITUDE = 'lora_magnitude_vector'

export type Named<T> = Readonly<Record<string, T>>
/** A layer that can be adapted. */
export type AdaptableLayer = Module & Layer & { readonly weight: Parameter; readonly bias?: Parameter | undefined }

/** What a merged layer needs to be taken apart again: the adapter as it was then, or the weight as it was before. */
interface Merged {
  readonly change: readonly [a: Cell, b: Cell, scale: number, factors: Cell | undefined]
  readonly before: Cell | undefined
}

/** Its adapters keep the dtype of the weight, but f32 beside one of 16 bits. */
const dtypeOf = ({ weight }: AdaptableLayer): FloatDType => statisticOf(weight.dtype) as FloatDType

/**
 * A layer and its adapters, of which one or none is active: base(x) + scale B A dropout(x) (Hu et al. 2021, section 4.1).
 * With DoRA (Liu et al. 2024, equation 5) the weight is m (W + scale B A) / ||W + scale B A||, the norm taken over the
 * inputs of each output and held constant by gradients (section 4.3).
 */
export abstract class LoraLayer extends Wrapper<AdaptableLayer> {
  declare readonly weight: Parameter
  declare readonly bias: Parameter | undefined
  readonly #settings = new Map<string, LoraSettings>()
  #merged: Merged | undefined
  /** The adapter that takes part; none where it is undefined. */
  active: string | undefined = undefined
  /** Whether the active adapter's change is in the weight. */
  merged = false
  lora_magnitude_vector: Named<Parameter> = {}

  get adapters(): readonly string[] {
    return [...this.#settings.keys()]
  }

  settingsOf(name: string): LoraSettings | undefined {
    return this.#settings.get(name)
  }

  /** Adds an adapter that changes nothing yet. It is not active. */
  addAdapter(name: string, settings: LoraSettings): void {
    const dtype = dtypeOf(this)
    const [a, b] = this.shapes(settings.rank)
    this.put(name, this.start(a, b, dtype))
    this.#settings.set(name, settings)
    if (settings.dora)
      this.lora_magnitude_vector = {
        ...this.lora_magnitude_vector,
        // Deferred with the others where the values come from a file.
        [name]: new Parameter(stopGradient(this.norms(cast(this.weight, dtype))), { name: `magnitude of ${name}` }),
      }
  }

  removeAdapter(name: string): void {
    if (this.active === name) this.active = undefined
    this.drop(name)
    this.lora_magnitude_vector = without(this.lora_magnitude_vector, name)
    this.#settings.delete(name)
  }

  /** What an adapter trains here, by the names that PEFT's files have behind the layer's. */
  parametersOf(name: string): (readonly [string, Parameter])[] {
    const magnitude = this.lora_magnitude_vector[name]
    const factors = this.factorsOf(name).map((factor, i) => [this.factorNames[i] as string, factor] as const)
    return magnitude ? [...factors, [MAGNITUDE, magnitude]] : factors
  }

  forward(x: Tensor): Tensor {
    const { active, merged } = this
    if (active === undefined || merged) return this.base.forward(x)
    const settings = this.#settings.get(active) as LoraSettings
    const [a, b] = this.factorsOf(active)
    const magnitude = this.lora_magnitude_vector[active]
    if (magnitude) return this.withMagnitude(x, a, b, magnitude, settings)
    const y = this.base.forward(x)
    return cast(add(y, mul(this.low(this.dropped(x, settings), a, b), settings.scale)), y.dtype)
  }

  /**
   * The product is scaled as a whole; where inputs are dropped for the adapter, they are for what the scaling adds to the
   * layer too, as PEFT has it.
   */
  private withMagnitude(x: Tensor, a: Parameter, b: Parameter, magnitude: Parameter, settings: LoraSettings): Tensor {
    const { scale } = settings
    const factors = this.factors(a, b, magnitude, scale)
    const y = this.product(x)
    let scaled: Tensor
    if (this.training && settings.dropout > 0) {
      const fed = this.dropped(x, settings)
      const added = add(mul(sub(factors, 1), this.product(fed)), mul(mul(factors, scale), this.low(fed, a, b)))
      scaled = add(y, added)
    } else scaled = mul(factors, add(y, mul(this.low(x, a, b), scale)))
    return cast(this.bias ? add(scaled, this.bias) : scaled, y.dtype)
  }

  private dropped(x: Tensor, settings: LoraSettings): Tensor {
    return dropout(cast(x, dtypeOf(this)), settings.dropout, { training: this.training })
  }

  /** m / ||W + scale B A||, one for each output. */
  private factors(a: Tensor, b: Tensor, magnitude: Tensor, scale: number): Tensor {
    const weight = add(cast(this.weight, dtypeOf(this)), mul(this.change(a, b), scale))
    return div(magnitude, stopGradient(this.norms(weight)))
  }

  private norms(weight: Tensor): Tensor {
    return sqrt(sum(mul(weight, weight), { axes: this.inputAxes }))
  }

  /**
   * Puts the active adapter's change into the weight: exact to the rounding of the weight's dtype. With `keep` the weight as
   * it was is kept beside it, so that `unmerge` gives it back bit for bit; else it is the change that is taken off again.
   */
  merge(keep: boolean): void {
    const { active } = this
    if (active === undefined || this.merged) return
    const { scale } = this.#settings.get(active) as LoraSettings
    const [a, b] = this.factorsOf(active)
    const magnitude = this.lora_magnitude_vector[active]
    const factors = magnitude && this.factors(a, b, magnitude, scale)
    const sum = add(cast(this.weight, dtypeOf(this)), mul(this.change(a, b), scale))
    const copy = (value: Tensor): Cell => new Cell(value, { name: 'merged adapter' })
    this.#merged = {
      before: keep ? copy(this.weight) : undefined,
      // Copies: the adapter may be trained or loaded anew meanwhile.
      change: [copy(a), copy(b), scale, factors && copy(factors)],
    }
    this.weight.assign(cast(factors ? mul(sum, this.perOutput(factors)) : sum, this.weight.dtype))
    this.merged = true
  }

  unmerge(): void {
    if (!this.#merged) return
    const { before, change } = this.#merged
    const [a, b, scale, factors] = change
    const weight = cast(this.weight, dtypeOf(this))
    const plain = sub(factors ? div(weight, this.perOutput(factors)) : weight, mul(this.change(a, b), scale))
    assign([[this.weight, before ?? cast(plain, this.weight.dtype)]])
    this.forgetMerged()
    this.merged = false
  }

  /** Leaves the merged weight as it is for good. */
  forgetMerged(): void {
    const { before, change: [a, b, , factors] = [] } = this.#merged ?? {}
    for (const cell of [before, a, b, factors]) cell?.dispose()
    this.#merged = undefined
  }

  /** Names of A and B, as PEFT's files have them. */
  abstract readonly factorNames: readonly [string, string]
  /** Shapes of A and B, as PEFT's files have them. */
  abstract shapes(rank: number): readonly [Shape, Shape]
  /** A and B of an adapter. */
  protected abstract factorsOf(name: string): readonly [Parameter, Parameter]
  protected abstract put(name: string, factors: readonly [Parameter, Parameter]): void
  protected abstract drop(name: string): void
  /** The layer's product with its weight, without the bias. */
  protected abstract product(x: Tensor): Tensor
  /** B A x. */
  protected abstract low(x: Tensor, a: Tensor, b: Tensor): Tensor
  /** B A in the weight's shape. */
  protected abstract change(a: Tensor, b: Tensor): Tensor
  /** The weight's axes that are not the output's. */
  protected abstract readonly inputAxes: number | readonly number[]
  /** Numbers of the outputs, to be multiplied with the weight. */
  protected abstract perOutput(numbers: Tensor): Tensor

  /** A uniform in +-1/sqrt(inputs), B 0, as PEFT. */
  protected start(a: Shape, b: Shape, dtype: FloatDType): readonly [Parameter, Parameter] {
    return [
      new Parameter(uniformByFan(a, sizeOf(a.slice(1)), { dtype }), { name: 'LoRA A' }),
      new Parameter(zeros(b, { dtype }), { name: 'LoRA B' }),
    ]
  }
}

/** All but one. */
export const without = <T>(all: Named<T>, name: string): Named<T> =>
  Object.fromEntries(Object.entries(all).filter(([key]) => key !== name))
