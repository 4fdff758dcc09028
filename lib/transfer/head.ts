// A new head: the last linear layer of a model replaced by one with other outputs.
import type { Parameter } from '../cell.js'
import { withChanges } from '../models/config.js'
import { initializeWeights, initialStd, PretrainedModel } from '../models/model.js'
import { Linear } from '../nn/linear.js'
import { Module } from '../nn/module.js'
import { replaceModules } from '../nn/replace.js'
import { integerFrom, optionsOf } from '../ops/arguments.js'
import { matcher, type Pattern } from '../pattern.js'
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import type { FloatDType } from '../schema/dtype.js'

export interface HeadOptions {
  /** Name of the linear layer. Default: the last one of the model. */
  readonly name?: Pattern
}

/**
 * Puts a fresh linear layer with `outputs` outputs in place of a model's head, and gives it. It starts as the model's layers
 * do; the config of a pretrained model says as many labels. Throws `ArgumentError` where there is no such layer.
 *
 * @example replaceHead(model, 3)
 */
export function replaceHead(model: Module, outputs: number, options: HeadOptions = {}): Linear {
  const op = 'replaceHead'
  if (!(model instanceof Module)) throw new ArgumentError(`${op}: it takes a module, not ${describe(model)}`)
  integerFrom(op, 'outputs', outputs, 1)
  const { name } = optionsOf(op, options)
  const fits = name === undefined ? () => true : matcher(op, name)
  const found = model.namedModules().filter((entry): entry is readonly [string, Linear] => entry[1] instanceof Linear)
  const chosen = found.filter(([path]) => fits(path)).at(-1)
  if (!chosen)
    throw new ArgumentError(
      `${op}: no linear layer's name fits ${String(name ?? '*')}; there are ${
        found
          .map(([path]) => path)
          .slice(-5)
          .join(', ') || 'none'
      }`,
    )
  const [path, before] = chosen
  const head = new Linear(before.inFeatures, outputs, {
    bias: before.bias !== undefined,
    dtype: before.weight.dtype as FloatDType,
  })
  head.train(before.training)
  if (model instanceof PretrainedModel) {
    initializeWeights(head.namedParameters() as (readonly [string, Parameter])[], initialStd(model.config))
    ;(model as { config: PretrainedModel['config'] }).config = withChanges(model.config, { num_labels: outputs })
  }
  replaceModules(
    model,
    (module) => (module === before ? head : undefined),
    new RegExp(`^${path.replaceAll('.', '\\.')}$`),
  )
  return head
}
