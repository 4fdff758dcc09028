// Which layers are adapted when nobody says it, and PEFT's ways of naming layers.
import type { Module } from '../nn/module.js'
import { ArgumentError } from '../runtime/errors.js'

/**
 * The last parts of names that PEFT adapts by default (`TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING`): BERT, RoBERTa
 * and ViT; DistilBERT; GPT-2; Llama, Qwen2 and CLIP; T5. The last one is `nn.GPT`'s.
 */
const DEFAULTS: readonly (readonly string[])[] = [
  ['query', 'value'],
  ['q_lin', 'v_lin'],
  ['c_attn'],
  ['q_proj', 'v_proj'],
  ['q', 'v'],
  ['qkv'],
]

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** Names that are one of these, or end with one behind a dot, as PEFT reads a list of `target_modules`. */
export const endingIn = (ends: readonly string[]): RegExp =>
  new RegExp(`^(?:.*\\.)?(?:${ends.map(escaped).join('|')})$`)

/** The layers that PEFT adapts by default in a model with such names. Throws `ArgumentError` where there are none. */
export function defaultTargets(op: string, model: Module): RegExp {
  const names = model.namedModules().map(([name]) => name)
  const found = DEFAULTS.find((ends) => ends.every((end) => names.some((name) => name.endsWith(`.${end}`))))
  if (found) return endingIn(found)
  throw new ArgumentError(
    `${op}: ${model.constructor.name} has none of the layers that are adapted by default; say which by targets`,
  )
}

/**
 * The value of the first pattern that a name fits, as PEFT reads `rank_pattern` and `alpha_pattern`: keys are regular
 * expressions of the end of a name, from its start or from a dot on.
 */
export function byPattern<T>(patterns: Readonly<Record<string, T>>, name: string, otherwise: T): T {
  for (const [key, value] of Object.entries(patterns)) {
    let expression: RegExp
    try {
      expression = new RegExp(`^(?:.*\\.)?(?:${key})$`)
    } catch (cause) {
      throw new ArgumentError(`lora: '${key}' is no regular expression of names`, { cause })
    }
    if (expression.test(name)) return value
  }
  return otherwise
}

/** The shortest list of ends that names these of all modules and no others; the names themselves where ends do not suffice. */
export function endsOf(model: Module, names: readonly string[]): string[] {
  const ends = [...new Set(names.map((name) => name.slice(name.lastIndexOf('.') + 1)))]
  const fits = endingIn(ends)
  const fitting = model.namedModules().filter(([name]) => fits.test(name))
  return fitting.length === names.length ? ends : [...names]
}

/** These names and no others. */
export const exactly = (names: readonly string[]): RegExp => new RegExp(`^(?:${names.map(escaped).join('|')})$`)
