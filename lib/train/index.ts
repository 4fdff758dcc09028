// heddle/train: what a training job needs around its steps.
export { EventLog } from './eventLog.js'
export type { Log, LogValues } from './log.js'
export { formatDuration, Progress, type ProgressOptions } from './progress.js'
export { CsvLog, JsonLinesLog } from './textLog.js'
