// Sequential: layers one after the other, named by their position.
import { ArgumentError } from '../runtime/errors.js'
import type { Tensor } from '../tensor.js'
import { type Layer, Module } from './module.js'

/** Passes its input through its layers in order; they are named `0`, `1`, ... Throws `ArgumentError` for what is no layer. */
export class Sequential extends Module {
  readonly [position: number]: Layer

  constructor(...layers: readonly Layer[]) {
    super()
    layers.forEach((layer, position) => {
      if (typeof layer?.forward !== 'function') {
        throw new ArgumentError(`Sequential: layer ${position} is ${String(layer)}, which has no forward method`)
      }
      Object.defineProperty(this, position, { value: layer, enumerable: true, writable: true, configurable: true })
    })
  }

  /** The layers in order. */
  get layers(): Layer[] {
    return Object.keys(this).flatMap((key) => (/^\d+$/.test(key) ? [this[Number(key)] as Layer] : []))
  }

  forward(x: Tensor): Tensor {
    return this.layers.reduce((value, layer) => layer.forward(value), x)
  }
}
