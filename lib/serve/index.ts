/** The public face of heddle/serve. @module heddle/serve */
import '../ops/methods.js'

export { ClosedError, DeadlineError, OverloadedError } from '../runtime/errors.js'
export { type Batcher, batcher } from './batcher.js'
export { type Consumed, type ConsumeOptions, consume } from './consume.js'
export type { BatcherFigures } from './figures.js'
export type { Histogram } from './histogram.js'
export { clientSignal, drainServer, httpHeaders, httpStatus } from './http.js'
export type { InputSpec, Inputs, SampleData, SampleOf, TensorsOf } from './inputs.js'
export { type Monitor, type MonitorOptions, monitor, type ServiceHealth } from './monitor.js'
export type { BatcherOptions, CloseOptions, Health, ModelOf, PredictOptions } from './options.js'
export type { Outputs, Row, RowsOf } from './outputs.js'
export type { Priority } from './request.js'
