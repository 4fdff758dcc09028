// Activations by the names that configs give them.
import { gelu, relu, silu } from '../ops/activation.js'
import { mul, sigmoid, tanh } from '../ops/element.js'
import type { Tensor } from '../tensor.js'
import type { ConfigReader } from './config.js'

const tanhGelu = (x: Tensor): Tensor => gelu(x, { approximate: 'tanh' })

const ACTIVATIONS = {
  gelu: (x: Tensor): Tensor => gelu(x),
  gelu_new: tanhGelu,
  gelu_fast: tanhGelu,
  gelu_pytorch_tanh: tanhGelu,
  // x sigmoid(1.702 x) (Hendrycks and Gimpel 2016).
  quick_gelu: (x: Tensor): Tensor => mul(x, sigmoid(mul(x, 1.702))),
  relu: (x: Tensor): Tensor => relu(x),
  silu: (x: Tensor): Tensor => silu(x),
  swish: (x: Tensor): Tensor => silu(x),
  tanh: (x: Tensor): Tensor => tanh(x),
} as const

export type Activation = (x: Tensor) => Tensor
type Name = keyof typeof ACTIVATIONS

/** The activation that a config names. Throws `PretrainedError` for one that is not known. */
export const activationOf = (reader: ConfigReader, name: string, otherwise: Name): Activation =>
  ACTIVATIONS[reader.oneOf(name, Object.keys(ACTIVATIONS) as Name[], otherwise)]
