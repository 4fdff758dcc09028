// Optimizers, and what goes with them: clipping and penalties.
export { Adam, type AdamOptions, AdamW } from './optim/adam.js'
export { ClippedGradients, clipGradients, ScaledGradients } from './optim/clip.js'
export { Optimizer, type OptimizerOptions, type ParameterGroup } from './optim/optimizer.js'
export { l1Penalty, l2Penalty } from './optim/penalty.js'
export type { Schedule } from './optim/schedule.js'
export { SGD, type SGDOptions } from './optim/sgd.js'
