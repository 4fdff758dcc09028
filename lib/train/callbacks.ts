// The callbacks of a run: called in order, and their state in checkpoints.
import type { CheckpointInfo } from '../io/checkpoint.js'
import type { Json } from '../io/checkpointManifest.js'
import type { Module } from '../nn/module.js'
import type { EvaluationResult } from './evaluation.js'
import type { Callback, RunView } from './options.js'

type Event = keyof Callback & `on${string}`
type Listener<M extends Module> = (run: RunView<M>, subject?: EvaluationResult | CheckpointInfo) => void | Promise<void>

export class Callbacks<M extends Module> {
  constructor(
    private readonly all: readonly Callback<M>[],
    /** The run as it is. */
    private readonly view: () => RunView<M>,
  ) {}

  /** Settles when all have done what they do. Rejects with what one throws. */
  async call(event: Event, subject?: EvaluationResult | CheckpointInfo): Promise<void> {
    if (this.all.length === 0) return
    const view = this.view()
    for (const callback of this.all) {
      await (callback[event] as Listener<M> | undefined)?.call(callback, view, subject)
    }
  }

  /** What they have to remember, by name. */
  save(): Record<string, Json> {
    return Object.fromEntries(
      this.all.flatMap((callback) =>
        callback.name !== undefined && callback.save ? [[callback.name, callback.save()]] : [],
      ),
    )
  }

  load(saved: Readonly<Record<string, Json>>): void {
    for (const callback of this.all) {
      const state = callback.name === undefined ? undefined : saved[callback.name]
      if (state !== undefined) callback.load?.(state)
    }
  }
}
