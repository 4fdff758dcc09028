/** heddle/train: what a training job needs around its steps. @module heddle/train */

import '../ops/methods.js'

export { samplesOf, type TensorFields } from './batch.js'
export { type BatchSizeFinderOptions, type BatchSizes, type BatchSizeTrial, findBatchSize } from './batchSizeFinder.js'
export { EarlyStopping, type EarlyStoppingOptions } from './earlyStopping.js'
export { Evaluation, type EvaluationOptions, type EvaluationResult, evaluate } from './evaluation.js'
export { EventLog } from './eventLog.js'
export {
  findLearningRate,
  type LearningRateFinderOptions,
  type LearningRatePoint,
  type LearningRates,
} from './learningRateFinder.js'
export type { Log, LogValues } from './log.js'
export {
  Accuracy,
  type AccuracyOptions,
  type Average,
  Confusion,
  ConfusionMatrix,
} from './metrics/classification.js'
export { Mean, Perplexity } from './metrics/mean.js'
export { Metric, type Sums } from './metrics/metric.js'
export { AUC, Calibration, type CalibrationBin, type CalibrationResult } from './metrics/probability.js'
export { MeanAbsoluteError, MeanSquaredError, R2 } from './metrics/regression.js'
export { NonFiniteError, nonFiniteOrigin, type Origin } from './nonFinite.js'
export type { MeasuredMetric, Metrics, Objective, Outcome, PairMetric } from './objective.js'
export type {
  Callback,
  CheckpointOptions,
  DataState,
  HistoryEntry,
  Run,
  RunView,
  TrainingData,
  TrainOptions,
  ValidationOptions,
} from './options.js'
export { formatDuration, Progress, type ProgressOptions } from './progress.js'
export { HtmlReport, type HtmlReportOptions } from './report.js'
export { CsvLog, JsonLinesLog } from './textLog.js'
export { train } from './train.js'
export {
  type NonFinitePolicy,
  type StepFigures,
  type Submitted,
  TrainingStep,
  type TrainingStepOptions,
} from './trainingStep.js'
