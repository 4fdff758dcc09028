// int8 quantisation of a trained model: after training, and in training.
import type { Module } from '../nn/module.js'
import { oneOf, optionsOf } from '../ops/arguments.js'
import { RANGE_TRAININGS, type RangeTraining } from './awareLayers.js'
import { convert, type Quantized } from './convertQuantized.js'
import { type CalibrationOptions, prepare } from './quantizePrepare.js'

/**
 * Quantises a trained model for inference on int8, in place: `Linear` and `Conv2d` get i8 weights with a scale per output
 * channel, and u8 inputs whose ranges are found by passing the calibration's batches (some hundred examples do). Batch
 * norm behind a convolution and ReLU become part of the layer before them, and where quantised layers follow one another
 * in a `Sequential`, with nothing but max pooling, flattening and dropout between them, integers pass from one to the
 * next. A weight that other modules share is theirs as before. Quantised layers have buffers and no parameters: save the
 * `stateDict()`, load it with `loadQuantized`.
 *
 * Throws, with the model as it was, `ArgumentError` where nothing can be quantised, a layer sees no data, or none that is
 * finite; `DTypeError` for weights that are not f32.
 *
 * @example const { report } = await quantize(model, images, { except: '0' })
 */
export async function quantize<M extends Module, B>(
  model: M,
  calibration: Iterable<B> | AsyncIterable<B>,
  options: CalibrationOptions<M, B> = {},
): Promise<Quantized<M>> {
  return convert(model, await prepare('quantize', model, calibration, options, 'fixed'))
}

export interface QuantizationAwareOptions<M extends Module, B> extends CalibrationOptions<M, B> {
  /** What happens to ranges in training: they follow the batches, are learned, or stay as calibrated. Default observed. */
  readonly ranges?: RangeTraining
}

/**
 * Makes a model compute as if in int8 (Jacob et al. 2018), in place, so that training goes on with the rounding:
 * calibrates and folds as `quantize` does, but weights stay f32 parameters and gradients pass the rounding by. Then train
 * it as before, with a lower learning rate, and call `convertQuantized`. Errors as `quantize`.
 */
export async function quantizationAware<M extends Module, B>(
  model: M,
  calibration: Iterable<B> | AsyncIterable<B>,
  options: QuantizationAwareOptions<M, B> = {},
): Promise<M> {
  const { ranges = 'observed' } = optionsOf('quantizationAware', options)
  oneOf('quantizationAware', 'ranges', ranges, RANGE_TRAININGS)
  await prepare('quantizationAware', model, calibration, options, ranges)
  return model
}
