/** heddle/distill: small models from large ones: distillation, pruning, right-sizing, cascades. @module heddle/distill */

import '../ops/methods.js'

export type { RangeMethod, RangeOptions } from './activationRanges.js'
export { attentionInputs } from './attentionInputs.js'
export { AwareConv2d, AwareLayer, AwareLinear, type RangeTraining } from './awareLayers.js'
export { type ConfidenceKind, fitTemperature, type LogitRows } from './calibration.js'
export { Cascade, type CascadeOptions, type CascadePredictions, cascade, type PredictOptions } from './cascade.js'
export {
  convertQuantized,
  loadQuantized,
  type QuantizationReport,
  type Quantized,
  type QuantizedLayerReport,
} from './convertQuantized.js'
export { type DistillOptions, distill, type FromTeachers } from './distill.js'
export { Distillation } from './distillation.js'
export {
  type BornAgainOptions,
  bornAgain,
  Cohort,
  distillMutually,
  type MutualOptions,
  type MutualOutcome,
} from './generations.js'
export { magnitudeScores, type Scores, type TaylorOptions, taylorScores } from './importance.js'
export { attentionTransfer, type RelationOptions, relationsTransfer, relationTransfer } from './losses/attention.js'
export { type ContrastiveOptions, contrastive, contrastiveRepresentation } from './losses/contrastive.js'
export { evenlySpread, HiddenMatching, type HiddenMatchingOptions, hiddenLoss } from './losses/hidden.js'
export { relationalAngles, relationalDistances, similarityPreserving } from './losses/relations.js'
export {
  type DistillationLossOptions,
  type DivergenceOptions,
  distillationLoss,
  divergence,
  type Logits,
  type SoftTargetOptions,
  softTargets,
} from './losses/soft.js'
export { MagnitudePruning, type MagnitudePruningOptions, sparsityAt } from './magnitudePruning.js'
export { distillOnPolicy, type OnPolicyOptions } from './onPolicy.js'
export type { Outputs } from './outputs.js'
export { type QuantizationAwareOptions, quantizationAware, quantize } from './quantize.js'
export { quantizeDynamic } from './quantizeDynamic.js'
export { DynamicQuantizedLinear, QuantizedConv2d, QuantizedLinear } from './quantizedLayers.js'
export type { CalibrationOptions } from './quantizePrepare.js'
export { type Budget, type RightSized, type RightSizeOptions, rightSize, type SizedModel } from './rightSize.js'
export {
  SEQUENCE_PADDING,
  type SequenceBatch,
  sequenceLoss,
  type TeacherSequenceOptions,
  type TokenSequence,
  teacherSequences,
} from './sequences.js'
export { pruneUnits, type StructuredPruningOptions } from './structuredPruning.js'
export { type DropLayersOptions, dropLayers, type LayerWidths, type NarrowOptions, narrow } from './students.js'
export { type Cached, type CacheOptions, cacheTeacher, TeacherCache, type WithTeacher } from './teacherCache.js'
export type { CascadeTarget, ChosenThreshold } from './threshold.js'
export type { TransformerWidths } from './transformerStudents.js'
