// heddle/distill: small models from large ones: distillation, pruning, right-sizing, cascades.

export { AwareConv2d, AwareLayer, AwareLinear, type RangeTraining } from './awareLayers.js'
export type { RangeMethod, RangeOptions } from './calibration.js'
export {
  convertQuantized,
  loadQuantized,
  type QuantizationReport,
  type Quantized,
  type QuantizedLayerReport,
} from './convertQuantized.js'
export { type QuantizationAwareOptions, quantizationAware, quantize } from './quantize.js'
export { quantizeDynamic } from './quantizeDynamic.js'
export { DynamicQuantizedLinear, QuantizedConv2d, QuantizedLinear } from './quantizedLayers.js'
export type { CalibrationOptions } from './quantizePrepare.js'
