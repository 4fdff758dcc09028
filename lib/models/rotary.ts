// Rotary position embeddings (Su et al. 2021), halves of a head turned against each other, as Llama has them.
import { concat } from '../ops/concat.js'
import { add, cast, cos, mul, sin, sub } from '../ops/element.js'
import { slice, unsqueeze } from '../ops/view.js'
import type { Tensor } from '../tensor.js'
import { ConfigReader, type ModelConfig } from './config.js'

/** Cosines and sines of the angles of positions, [B or 1,1,T,width / 2]. */
export interface Turn {
  readonly cosine: Tensor
  readonly sine: Tensor
}

/** theta^(-2i / width) in f32 as the reference rounds, slowed down as the config asks. Throws `PretrainedError`. */
export function frequenciesOf(owner: string, config: ModelConfig, width: number): Float32Array {
  const reader = new ConfigReader(owner, config)
  // Newer configs have both in one place.
  const parameters = reader.record('rope_parameters')
  const scaling = parameters ?? reader.record('rope_scaling') ?? {}
  const base = new ConfigReader(owner, parameters?.['rope_theta'] === undefined ? config : parameters)
  const theta = base.number('rope_theta', 10000, 1)
  const frequencies = Float32Array.from(
    { length: width / 2 },
    (_, i) => 1 / Math.fround(theta ** Math.fround((2 * i) / width)),
  )
  const inner = new ConfigReader(`${owner}: the scaling of positions`, scaling)
  const kind = inner.oneOf(
    scaling['rope_type'] === undefined ? 'type' : 'rope_type',
    ['default', 'linear', 'llama3'],
    'default',
  )
  if (kind === 'default') return frequencies
  const factor = inner.number('factor', 1, 1)
  if (kind === 'linear') return frequencies.map((frequency) => frequency / factor)
  // Llama 3.1: long waves are slowed down, short ones are not, those between partly.
  const low = inner.number('low_freq_factor', 1)
  const high = inner.number('high_freq_factor', 4)
  if (high <= low) throw inner.error('high_freq_factor', `above low_freq_factor (${low})`, high)
  const original = inner.integer('original_max_position_embeddings', 8192)
  return frequencies.map((frequency) => {
    const turns = (original * frequency) / (2 * Math.PI)
    const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)))
    return (1 - kept) * (frequency / factor) + kept * frequency
  })
}

/** The turn of positions [T] or [B,T]. */
export function turnOf(positions: Tensor, frequencies: Tensor): Turn {
  const rows = positions.rank === 1 ? unsqueeze(positions, 0) : positions
  const angles = mul(unsqueeze(unsqueeze(cast(rows, 'f32'), 1), -1), frequencies)
  return { cosine: cos(angles), sine: sin(angles) }
}

/** Heads [B,H,T,width], turned. */
export function turned(x: Tensor, { cosine, sine }: Turn): Tensor {
  const half = (x.shape[3] as number) / 2
  const part = (start: number): Tensor => slice(x, undefined, undefined, undefined, [start, start + half])
  const [first, second] = [part(0), part(half)]
  const [c, s] = [cast(cosine, x.dtype), cast(sine, x.dtype)]
  return concat([sub(mul(first, c), mul(second, s)), add(mul(second, c), mul(first, s))], { axis: -1 })
}
