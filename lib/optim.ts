// Optimizers, and what goes with them: clipping, loss scaling, averages and penalties.
import './ops/methods.js'

export { Adafactor, type AdafactorOptions } from './optim/adafactor.js'
export { Adagrad, type AdagradOptions } from './optim/adagrad.js'
export { Adam, type AdamOptions, AdamW } from './optim/adam.js'
export { type AverageOptions, ExponentialMovingAverage } from './optim/average.js'
export { ClippedGradients, clipGradients, gradientNorm, ScaledGradients } from './optim/clip.js'
export { ComposedOptimizer, type Move } from './optim/composed.js'
export { LAMB, type LAMBOptions } from './optim/lamb.js'
export { type Evaluation, LBFGS, type LBFGSOptions } from './optim/lbfgs.js'
export { Lion, type LionOptions } from './optim/lion.js'
export { LossScale, type LossScaleOptions } from './optim/lossScale.js'
export { Muon, type MuonOptions } from './optim/muon.js'
export {
  type NextSlot,
  Optimizer,
  type OptimizerOptions,
  type ParameterGroup,
  type Slot,
  type State,
  zeroState,
} from './optim/optimizer.js'
export { l1Penalty, l2Penalty } from './optim/penalty.js'
export { type PlateauOptions, ReduceOnPlateau } from './optim/plateau.js'
export { RMSprop, type RMSpropOptions } from './optim/rmsprop.js'
export type { Schedule } from './optim/schedule.js'
export { SGD, type SGDOptions } from './optim/sgd.js'
