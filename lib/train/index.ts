// heddle/train: what a training job needs around its steps.
export { EventLog } from './eventLog.js'
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
export { formatDuration, Progress, type ProgressOptions } from './progress.js'
export { HtmlReport, type HtmlReportOptions } from './report.js'
export { CsvLog, JsonLinesLog } from './textLog.js'
