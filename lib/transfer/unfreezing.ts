// What is trained, and from when on: parts by pattern, biases alone, layers one after the other.
import type { Parameter } from '../cell.js'
import type { Module } from '../nn/module.js'
import { integerFrom, optionsOf } from '../ops/arguments.js'
import { matcher, type Pattern } from '../pattern.js'
import { ArgumentError } from '../runtime/errors.js'
import type { Callback } from '../train/options.js'
import { type LayerOptions, layerGroups } from './layerGroups.js'

/** Freezes everything but the parameters whose name fits. Throws `ArgumentError` where none does. */
export function trainOnly<M extends Module>(model: M, pattern: Pattern): M {
  const fits = matcher('trainOnly', pattern)
  if (!model.namedParameters().some(([name]) => fits(name))) return model.unfreeze(pattern)
  return model.freeze().unfreeze(pattern)
}

/**
 * BitFit (Ben Zaken et al. 2022): of a model only the biases are trained, and `alsoTrain`, a new head for example. Throws
 * `ArgumentError` where it has no biases, or none of those.
 */
export function bitFit<M extends Module>(model: M, options: { readonly alsoTrain?: Pattern } = {}): M {
  const { alsoTrain } = optionsOf('bitFit', options)
  if (alsoTrain !== undefined) {
    const fits = matcher('bitFit', alsoTrain)
    if (!model.namedParameters().some(([name]) => fits(name)))
      throw new ArgumentError(`bitFit: no parameter's name fits ${String(alsoTrain)}`)
  }
  trainOnly(model, /(^|\.)bias$/)
  return alsoTrain === undefined ? model : model.unfreeze(alsoTrain)
}

export interface GradualUnfreezingOptions extends LayerOptions {
  /** Epochs or steps after which the next layer is trained too. Default: each epoch. */
  readonly every?: { readonly epochs: number } | { readonly steps: number }
  /** Layers that are trained from the beginning on, counted from the output. Default 1. */
  readonly first?: number
}

/**
 * A callback for `train`: the last layer is trained alone at first, and one more before it joins each epoch (Howard and Ruder
 * 2018). Parameters that are frozen when the run begins stay frozen. Give the optimizer all that is going to be trained;
 * `train` does. Each change traces the training step once more. How far it is follows from epochs or steps, also where a run
 * is gone on with.
 *
 * @example await train(model, data, { loss, optimizer, epochs: 5, callbacks: [gradualUnfreezing(model)] })
 */
export function gradualUnfreezing<M extends Module>(model: M, options: GradualUnfreezingOptions = {}): Callback<M> {
  const op = 'gradualUnfreezing'
  const { every = { epochs: 1 }, first = 1, ...found } = optionsOf(op, options)
  const interval = 'steps' in every ? every.steps : every.epochs
  integerFrom(op, 'steps' in every ? 'every.steps' : 'every.epochs', interval, 1)
  integerFrom(op, 'first', first, 1)
  const groups = layerGroups(model, found)
  let trained: ReadonlySet<Parameter> = new Set()
  const show = (done: number): void => {
    const open = groups.length - first - Math.floor(done / interval)
    groups.forEach(({ parameters }, i) => {
      for (const [, parameter] of parameters) if (trained.has(parameter)) parameter.trainable = i >= open
    })
  }
  const restore = (): void => {
    for (const parameter of trained) parameter.trainable = true
  }
  return {
    onStart: ({ step, epoch }) => {
      trained = new Set(model.parameters({ trainable: true }))
      show('steps' in every ? step : epoch)
    },
    ...('steps' in every ? { onStep: ({ step }) => show(step) } : { onEpoch: ({ epoch }) => show(epoch) }),
    onEnd: restore,
  }
}
