// The state of a model as it was, for trials that must leave nothing behind.
import type { Module } from '../nn/module.js'
import { defaultGenerator } from '../ops/random.js'
import type { DataState } from './options.js'

interface Positioned {
  state?(): DataState
  load?(state: DataState): void
}

/** Runs `trial`; afterwards, however it ends, parameters, buffers, mode, random state and position in the data are as before. */
export async function leavingNoTrace<T>(
  model: Module,
  data: Positioned | undefined,
  trial: () => Promise<T>,
): Promise<T> {
  const { training } = model
  const generator = defaultGenerator()
  const position = data?.load && data.state?.()
  const [state, random] = await Promise.all([model.stateDict({ bits: true }), generator.stateDict()])
  try {
    return await trial()
  } finally {
    model.loadStateDict(state)
    generator.loadStateDict(random)
    model.train(training)
    if (position) data.load?.(position)
  }
}
