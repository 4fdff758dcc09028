// Decoders that wait for the next generation of their model, so that nothing is compiled twice.

import type { CausalLanguageModel } from './causal.js'
import { CausalDecoder } from './causalDecoder.js'
import { type Decoder, filledLength } from './decoder.js'
import { type EncoderDecoderModel, isEncoderDecoder } from './encoderDecoder.js'
import { SourceDecoder } from './sourceDecoder.js'

/** What tokens can be generated with. */
export type GenerativeModel = CausalLanguageModel | EncoderDecoderModel

/** Caches have a multiple of this many slots, so that they can be used again. */
const CACHE_STEP = 64
/** Decoders of one model that are kept. */
const MOST_IDLE = 2

const idle = new WeakMap<GenerativeModel, Decoder[]>()

/** A decoder for prompts of up to `longest` tokens in `rows` rows and `made` tokens behind them: an idle or a new one. Give it back. */
export function borrowDecoder(model: GenerativeModel, rows: number, longest: number, made: number): Decoder {
  const source = isEncoderDecoder(model)
  const slots = Math.min(Math.ceil((made + (source ? 1 : longest)) / CACHE_STEP) * CACHE_STEP, model.maxTokens)
  const sourceLength = filledLength(longest, model.maxTokens)
  const free = idle.get(model) ?? []
  const found = free.findIndex(
    (decoder) =>
      decoder.rows === rows &&
      decoder.length === slots &&
      (!(decoder instanceof SourceDecoder) || decoder.sourceLength === sourceLength),
  )
  if (found >= 0) return free.splice(found, 1)[0] as Decoder
  return source ? new SourceDecoder(model, rows, slots, sourceLength) : new CausalDecoder(model, rows, slots)
}

/** Keeps a decoder for the next generation; the one that was idle for longest goes. */
export function giveBackDecoder(model: GenerativeModel, decoder: Decoder): void {
  const free = idle.get(model) ?? []
  idle.set(model, free)
  free.push(decoder)
  if (free.length > MOST_IDLE) free.shift()?.dispose()
}
