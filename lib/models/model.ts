// What every pretrained model is: a module with a config, and the facts about its family's files.
import { isDeferred, type Parameter } from '../cell.js'
import { normal, ones, zeros } from '../nn/initialize.js'
import { Module } from '../nn/module.js'
import type { FloatDType } from '../schema/dtype.js'
import { ConfigReader, type ModelConfig } from './config.js'

export interface ModelOptions {
  /** Dtype of the parameters. Default f32. */
  readonly dtype?: FloatDType
}

/** A model whose parameters have the names that transformers gives them. */
export abstract class PretrainedModel extends Module {
  constructor(
    /** The config it was made from, as config.json has it. */
    readonly config: ModelConfig,
  ) {
    super()
  }

  /** The longest row of tokens it takes. */
  get maxTokens(): number {
    return new ConfigReader('PretrainedModel', this.config).integer('max_position_embeddings', 512)
  }
}

/** The class of a model: makes one with random weights from a config. */
export type ModelClass<M extends PretrainedModel = PretrainedModel> = new (
  config: ModelConfig,
  options?: ModelOptions,
) => M

/** The first word of a dotted name. */
export const firstPart = (name: string): string => name.split('.', 1)[0] as string

/** Models of one `model_type`, and what the names in their files mean. */
export interface Family {
  /** As config.json says it in `model_type`. */
  readonly modelTypes: readonly string[]
  /** By the name that config.json says in `architectures`; the first is the model without a head. */
  readonly architectures: Readonly<Record<string, ModelClass>>
  /** Whether a config that names neither is of this family, of its first architecture. */
  readonly recognizes?: (config: ModelConfig) => boolean
  /** What stands before the names of the model without a head in those with one. */
  readonly prefix: string
  /** A name in a file as today's transformers has it. */
  readonly rename?: (name: string) => string
  /**
   * Whether a tensor that the model has no place for may be passed over: what is computed from the config, and heads that
   * this architecture does not have. Anything else is an error. `has` says whether the model has anything under the first
   * word of a name: then nothing else may stand there, a layer more than the config has for example.
   */
  readonly passesOver: (name: string, has: (part: string) => boolean) => boolean
}

/**
 * Fresh values, as transformers starts them: matrices normal with the given standard deviation, biases 0, factors of
 * norms 1. Does nothing where the weights come from elsewhere.
 */
export function initializeWeights(parameters: Iterable<readonly [string, Parameter]>, std: number): void {
  if (isDeferred()) return
  for (const [name, parameter] of parameters) {
    const { shape } = parameter
    const dtype = parameter.dtype as FloatDType
    if (shape.length > 1) parameter.assign(normal(shape, { std, dtype }))
    else parameter.assign(name.endsWith('weight') ? ones(shape, { dtype }) : zeros(shape, { dtype }))
  }
}

/** The standard deviation that a config gives fresh weights; 0.02 where it gives none. */
export function initialStd(config: ModelConfig): number {
  const std = config['initializer_range']
  return typeof std === 'number' && std >= 0 && Number.isFinite(std) ? std : 0.02
}
