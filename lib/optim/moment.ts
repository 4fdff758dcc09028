// Moving averages, their bias and decay: the terms that rules of optimizers are made of.
import { numberIn } from '../ops/arguments.js'
import { full } from '../ops/create.js'
import { add, mul, pow, sub } from '../ops/element.js'
import { ArgumentError } from '../runtime/errors.js'
import type { Tensor } from '../tensor.js'

/** beta average + (1 - beta) value, the average 0 where there is none yet. */
export const moving = (average: Tensor | undefined, value: Tensor, beta: number): Tensor =>
  average ? add(mul(average, beta), mul(value, 1 - beta)) : mul(value, 1 - beta)

/** The gradient of a loss with weightDecay |p|^2 / 2 added. */
export const decayed = (gradient: Tensor, parameter: Tensor, weightDecay: number): Tensor =>
  weightDecay === 0 ? gradient : add(gradient, mul(parameter, weightDecay))

/** 1 - beta^step, what an average that started with 0 is to be divided by; f64[] as the step. */
export const correction = (beta: number, step: Tensor): Tensor => sub(1, pow(full([], beta, { dtype: 'f64' }), step))

/** Throws `ArgumentError` unless each beta is from 0 to below 1. */
export function checkBetas(name: string, betas: readonly number[]): void {
  for (const beta of betas) {
    numberIn(name, 'beta', beta, 0, 1)
    if (beta === 1) throw new ArgumentError(`${name}: a beta must be below 1`)
  }
}
