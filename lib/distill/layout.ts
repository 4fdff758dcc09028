// How the transformer families are laid out: which axis of which parameter are heads, neurons or the width, and their names in a config.
import { BertForMaskedLM, BertForSequenceClassification, BertModel } from '../models/bert.js'
import { DistilBertForMaskedLM, DistilBertForSequenceClassification, DistilBertModel } from '../models/distilbert.js'
import { GPT2LMHeadModel, GPT2Model } from '../models/gpt2.js'
import { LlamaForCausalLM, LlamaModel } from '../models/llama.js'
import type { PretrainedModel } from '../models/model.js'
import { RobertaForMaskedLM, RobertaForSequenceClassification, RobertaModel } from '../models/roberta.js'
import { StudentError } from '../runtime/errors.js'

/**
 * What the elements along an axis belong to: heads of queries, heads of keys and values, queries, keys and values behind one
 * another, neurons of the feed-forward part, or the width between layers.
 */
export type Axis = 'heads' | 'keyHeads' | 'qkv' | 'inner' | 'width'

/** A kind of module by the end of its name: its outputs and its inputs, or what a norm or a table of embeddings has in a row. */
type Rule = readonly [pattern: RegExp, out: Axis | undefined, input?: Axis]

export interface Layout {
  /** Names in the config. */
  readonly layers: string
  readonly heads: string
  readonly keyHeads?: string
  readonly inner: string
  readonly width: string
  /** Finds the number of a layer in a name; what stands before and behind it are its groups 1 and 3. */
  readonly layer: RegExp
  /** Weights are [in, out] rather than [out, in]. */
  readonly transposed: RegExp | undefined
  readonly rules: readonly Rule[]
}

const EMBEDDINGS: Rule = [/_embeddings$/, undefined, 'width']
const BERT: Layout = {
  layers: 'num_hidden_layers',
  heads: 'num_attention_heads',
  inner: 'intermediate_size',
  width: 'hidden_size',
  layer: /^(.*encoder\.layer\.)(\d+)(\..*)$/,
  transposed: undefined,
  rules: [
    [/attention\.self\.(query|key|value)$/, 'heads', 'width'],
    [/attention\.output\.dense$/, 'width', 'heads'],
    [/intermediate\.dense$/, 'inner', 'width'],
    [/layer\.\d+\.output\.dense$/, 'width', 'inner'],
    [/(LayerNorm|layer_norm)$/, 'width'],
    EMBEDDINGS,
    [/(pooler|transform|lm_head|classifier)\.dense$/, 'width', 'width'],
    [/(classifier|out_proj)$/, undefined, 'width'],
  ],
}
const DISTILBERT: Layout = {
  layers: 'n_layers',
  heads: 'n_heads',
  inner: 'hidden_dim',
  width: 'dim',
  layer: /^(.*transformer\.layer\.)(\d+)(\..*)$/,
  transposed: undefined,
  rules: [
    [/attention\.[qkv]_lin$/, 'heads', 'width'],
    [/attention\.out_lin$/, 'width', 'heads'],
    [/ffn\.lin1$/, 'inner', 'width'],
    [/ffn\.lin2$/, 'width', 'inner'],
    [/(LayerNorm|layer_norm)$/, 'width'],
    EMBEDDINGS,
    [/(pre_classifier|vocab_transform)$/, 'width', 'width'],
    [/classifier$/, undefined, 'width'],
  ],
}
const GPT2: Layout = {
  layers: 'n_layer',
  heads: 'n_head',
  inner: 'n_inner',
  width: 'n_embd',
  layer: /^((?:transformer\.)?h\.)(\d+)(\..*)$/,
  transposed: /c_(attn|proj|fc)$/,
  rules: [
    [/(wte|wpe|lm_head)$/, undefined, 'width'],
    [/ln_\w+$/, 'width'],
    [/attn\.c_attn$/, 'qkv', 'width'],
    [/attn\.c_proj$/, 'width', 'heads'],
    [/mlp\.c_fc$/, 'inner', 'width'],
    [/mlp\.c_proj$/, 'width', 'inner'],
  ],
}
const LLAMA: Layout = {
  layers: 'num_hidden_layers',
  heads: 'num_attention_heads',
  keyHeads: 'num_key_value_heads',
  inner: 'intermediate_size',
  width: 'hidden_size',
  layer: /^((?:model\.)?layers\.)(\d+)(\..*)$/,
  transposed: undefined,
  rules: [
    [/(embed_tokens|lm_head)$/, undefined, 'width'],
    [/norm$/, 'width'],
    [/q_proj$/, 'heads', 'width'],
    [/[kv]_proj$/, 'keyHeads', 'width'],
    [/o_proj$/, 'width', 'heads'],
    [/(gate|up)_proj$/, 'inner', 'width'],
    [/down_proj$/, 'width', 'inner'],
  ],
}

const FAMILIES: readonly (readonly [Layout, readonly (abstract new (...args: never[]) => PretrainedModel)[]])[] = [
  [BERT, [BertModel, BertForSequenceClassification, BertForMaskedLM]],
  [BERT, [RobertaModel, RobertaForSequenceClassification, RobertaForMaskedLM]],
  [DISTILBERT, [DistilBertModel, DistilBertForSequenceClassification, DistilBertForMaskedLM]],
  [GPT2, [GPT2Model, GPT2LMHeadModel]],
  [LLAMA, [LlamaModel, LlamaForCausalLM]],
]

/** The layout of a model. Throws `StudentError` for a family that has none. */
export function layoutOf(op: string, model: PretrainedModel): Layout {
  const found = FAMILIES.find(([, classes]) => classes.some((Class) => model instanceof Class))
  if (found) return found[0]
  throw new StudentError(
    `${op}: ${model.constructor.name} is of no family whose layers and heads are known; known are BERT, RoBERTa, DistilBERT, GPT-2, Llama and Qwen2, and Sequential`,
  )
}

/** What stands along each axis of a parameter; undefined along those that never change. */
export function axesOf({ rules, transposed }: Layout, name: string): readonly (Axis | undefined)[] {
  const [, owner = '', kind] = /^(?:(.*)\.)?([^.]+)$/.exec(name) ?? []
  const rule = rules.find(([pattern]) => pattern.test(owner))
  if (!rule) return []
  const [, out, input] = rule
  if (kind === 'bias' || input === undefined) return [out]
  return transposed?.test(owner) ? [input, out] : [out, input]
}

/** The layer that a parameter belongs to; undefined of those outside the layers. */
export function layerOf({ layer }: Layout, name: string): number | undefined {
  const found = layer.exec(name)
  return found ? Number(found[2]) : undefined
}
