// Watches batchers, devices and the event loop: one answer about health, and metrics for Prometheus or OpenTelemetry.
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import type { Meter } from '@opentelemetry/api'
import { optionsOf } from '../ops/arguments.js'
import { type Device, defaultDevice } from '../runtime/device.js'
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import {
  batcherHistograms,
  batcherNumbers,
  deviceNumbers,
  type NumberFamily,
  type ObservedBatcher,
  processNumbers,
  RESOLUTION_MS,
} from './families.js'
import { registerWith } from './openTelemetry.js'
import type { Health } from './options.js'
import { PROMETHEUS_CONTENT_TYPE, prometheusText } from './prometheus.js'

export interface MonitorOptions {
  /** What is watched; each is called in metrics as it is called here. */
  readonly batchers: Readonly<Record<string, ObservedBatcher>>
  /** Default: the default device. */
  readonly devices?: readonly Device[]
}

/** The health of all batchers together, and of each. */
export interface ServiceHealth {
  /** Whether all live: if not, the process should be started again. */
  readonly live: boolean
  /** Whether all are ready: if not, requests should go elsewhere. */
  readonly ready: boolean
  readonly batchers: Readonly<Record<string, Health>>
}

/** Comes from `monitor`. */
export class Monitor {
  /** What an HTTP answer with `prometheus()` says that it is. */
  readonly contentType = PROMETHEUS_CONTENT_TYPE
  private readonly named: readonly (readonly [string, ObservedBatcher])[]
  private readonly devices: readonly Device[]
  private readonly delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  private readonly unregister: (() => void)[] = []

  /** @internal */
  constructor({ batchers, devices }: MonitorOptions) {
    if (batchers === null || typeof batchers !== 'object')
      throw new ArgumentError(`monitor: batchers must be an object of batchers by name, not ${describe(batchers)}`)
    this.named = Object.entries(batchers)
    for (const [name, batcher] of this.named)
      if (typeof batcher?.health !== 'function')
        throw new ArgumentError(`monitor: '${name}' is ${describe(batcher)}, not a batcher`)
    this.devices = devices ?? [defaultDevice()]
    this.delay.enable()
  }

  health(): ServiceHealth {
    const each = this.named.map(([name, batcher]) => [name, batcher.health()] as const)
    return {
      live: each.every(([, { live }]) => live),
      ready: each.every(([, { ready }]) => ready),
      batchers: Object.fromEntries(each),
    }
  }

  private numbers(): NumberFamily[] {
    const numbers = [...batcherNumbers(this.named), ...deviceNumbers(this.devices), ...processNumbers(this.delay)]
    // Each reading tells of the time since the one before: an average over days would hide a bad minute.
    this.delay.reset()
    return numbers
  }

  /** All metrics as Prometheus scrapes them, in text format 0.0.4. */
  prometheus(): string {
    return prometheusText([...this.numbers(), ...batcherHistograms(this.named)])
  }

  /** Registers all metrics with a meter of `@opentelemetry/api`; what exports them is the program's choice. */
  openTelemetry(meter: Meter): void {
    if (typeof meter?.createObservableGauge !== 'function')
      throw new ArgumentError(
        `monitor: openTelemetry takes a meter, as metrics.getMeter('heddle') gives it, not ${describe(meter)}`,
      )
    this.unregister.push(registerWith(meter, () => this.numbers(), batcherHistograms(this.named)))
  }

  /** Ends the measurement of the event loop and what was registered. */
  close(): void {
    this.delay.disable()
    for (const stop of this.unregister.splice(0)) stop()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

/**
 * Watches what serves.
 *
 * @example
 * const watched = monitor({ batchers: { digits } })
 * app.get('/metrics', (_, reply) => reply.type(watched.contentType).send(watched.prometheus()))
 * app.get('/ready', (_, reply) => reply.code(watched.health().ready ? 200 : 503).send(watched.health()))
 */
export const monitor = (options: MonitorOptions): Monitor => new Monitor(optionsOf('monitor', options))
