// Queries, keys and values of a layer: what relations are transferred of, as fused attention shows no maps.
import { PretrainedModel } from '../models/model.js'
import type { Layer } from '../nn/module.js'
import { split } from '../ops/concat.js'
import { ArgumentError, StudentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import type { Tensor } from '../tensor.js'

/** By the end of their names in a layer: the norm before attention, where there is one, and the projections. */
const FAMILIES: readonly (readonly [norm: string | undefined, projections: readonly string[]])[] = [
  [undefined, ['attention.self.query', 'attention.self.key', 'attention.self.value']],
  [undefined, ['attention.q_lin', 'attention.k_lin', 'attention.v_lin']],
  ['ln_1', ['attn.c_attn']],
  ['input_layernorm', ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj']],
]

/**
 * Queries, keys and values [B,T,...] of layer `layer` (from 0; negative ones count from the end) of a transformer of
 * heddle/models, from the hidden states that its encoder or decoder gives: what `relationsTransfer` takes. In one compiled step
 * they are those of the model's own attention, not computed twice. Llama's are those before they are turned by position.
 *
 * @example relationsTransfer(attentionInputs(student, mine.hiddenStates, -1), attentionInputs(teacher, theirs.hiddenStates, -1))
 */
export function attentionInputs(
  model: PretrainedModel,
  hiddenStates: readonly Tensor[],
  layer: number,
): readonly [Tensor, Tensor, Tensor] {
  const op = 'attentionInputs'
  if (!(model instanceof PretrainedModel))
    throw new ArgumentError(`${op}: it takes a model of heddle/models, not ${describe(model)}`)
  const layers = hiddenStates.length - 1
  const place = layer < 0 ? layers + layer : layer
  const input = hiddenStates[place]
  if (!Number.isInteger(place) || place < 0 || place >= layers || !input)
    throw new ArgumentError(`${op}: there is no layer ${layer} of ${layers}`)
  const modules = new Map(model.namedModules())
  const found = (end: string): Layer | undefined => {
    const name = [...modules.keys()].find((one) => one.endsWith(`.${place}.${end}`) || one === `${place}.${end}`)
    return name === undefined ? undefined : (modules.get(name) as unknown as Layer)
  }
  for (const [norm, names] of FAMILIES) {
    const projections = names.map(found)
    if (projections.some((one) => one === undefined)) continue
    const x = norm === undefined ? input : (found(norm) as Layer).forward(input)
    const parts = (projections as Layer[]).map((one) => one.forward(x))
    const [first] = parts as [Tensor]
    const three = parts.length === 3 ? parts : split(first, (first.shape[2] as number) / 3, -1)
    return three as unknown as readonly [Tensor, Tensor, Tensor]
  }
  throw new StudentError(`${op}: ${model.constructor.name} has no queries, keys and values that are known`)
}
