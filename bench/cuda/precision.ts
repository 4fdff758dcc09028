// In which precision a model is held and computed when its training step is timed.
import { autocast } from '../../lib/index.js'

/** How a model is held and computed, by the name of its case. */
export const PRECISIONS = {
  mixed: { dtype: 'bf16', autocast: true, precision: 'products bf16 by autocast; parameters and optimizer state f32' },
  bf16: {
    dtype: 'bf16',
    autocast: false,
    precision: 'parameters, activations and gradients bf16; optimizer state and statistics f32',
  },
  f32: { dtype: 'f32', autocast: false, precision: 'f32 without TF32' },
} as const

/** Parameters and inputs are of `dtype`; with `autocast` they are f32 and products are computed in `dtype`. */
export interface StepPrecision {
  readonly dtype: 'f32' | 'bf16'
  readonly autocast: boolean
}

export const heldIn = ({ dtype, autocast: mixed }: StepPrecision): 'f32' | 'bf16' => (mixed ? 'f32' : dtype)

/** Records a model's forward pass. */
export const recordedIn = <T>({ dtype, autocast: mixed }: StepPrecision, model: () => T): T =>
  mixed ? autocast(dtype as 'bf16', model) : model()
