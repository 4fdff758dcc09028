// The public face of heddle/serve.
export { ClosedError, DeadlineError, OverloadedError } from '../runtime/errors.js'
export { type Batcher, batcher } from './batcher.js'
export type { BatcherFigures } from './figures.js'
export type { Histogram } from './histogram.js'
export type { InputSpec, Inputs, SampleData, SampleOf, TensorsOf } from './inputs.js'
export type { BatcherOptions, CloseOptions, Health, ModelOf, PredictOptions } from './options.js'
export type { Outputs, Row, RowsOf } from './outputs.js'
export type { Priority } from './request.js'
