// How many weights a model has: its parameters, and int8 weights, which are buffers.
import type { Module } from '../nn/module.js'

export const weightCount = (model: Module): number =>
  [...model.parameters(), ...model.buffers().filter(({ dtype }) => dtype === 'i8')].reduce(
    (sum, { size }) => sum + size,
    0,
  )
