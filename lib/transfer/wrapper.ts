// A module that stands in the place of another and does more: it has the properties of what it wraps under their names.
import { type Layer, Module } from '../nn/module.js'

/**
 * Around a layer. The wrapped layer's parameters keep their names (`query.weight` stays `query.weight`), and what models ask
 * their layers for, extents for one, is there. The layer itself is found under no name.
 */
export abstract class Wrapper<L extends Module & Layer = Module & Layer> extends Module {
  readonly #base: L

  constructor(base: L) {
    super()
    Object.assign(this, base)
    this.#base = base
  }

  /** The layer alone. */
  get base(): L {
    return this.#base
  }
}
