// Dynamic batching: requests that come one by one are answered together, as soon as is wise, and each by itself.
import type { Module } from '../nn/module.js'
import { numberIn, oneOf, optionsOf } from '../ops/arguments.js'
import {
  ArgumentError,
  ClosedError,
  DeviceLostError,
  OutOfMemoryError,
  OverloadedError,
  StateLostError,
} from '../runtime/errors.js'
import { recordSpan } from '../runtime/spans.js'
import type { Shape } from '../schema/shape.js'
import type { StateDict } from '../state.js'
import { unscoped } from '../tensor.js'
import { BatcherFigures } from './figures.js'
import { InputFields, type Inputs, type Sample, type SampleOf } from './inputs.js'
import type { BatcherOptions, CloseOptions, Health, ModelOf, PredictOptions } from './options.js'
import { forwardOf, LONGEST_MS, settingsOf } from './options.js'
import type { Outputs, RowsOf } from './outputs.js'
import { RequestQueue } from './queue.js'
import { PendingRequest, PRIORITIES, type Priority, type RequestOutcome } from './request.js'
import { BatchRunner } from './runner.js'
import { WeightSwap } from './swap.js'

type Settings = ReturnType<typeof settingsOf>

/** Answers requests with a model. Comes from `batcher`. */
export class Batcher<I extends Inputs = Inputs, R extends Outputs = Outputs> {
  readonly name: string
  readonly figures: BatcherFigures
  private readonly fields: InputFields
  private readonly runner: BatchRunner<I, R>
  private readonly weights: WeightSwap | undefined
  private readonly queue = new RequestQueue<RowsOf<R>>()
  private readonly settings: Settings
  /** Batches that are running. */
  private running = 0
  /** Whether the device is being given a batch. */
  private giving = false
  /** Requests in them that still wait for an answer. */
  private readonly started = new Set<PendingRequest<RowsOf<R>>>()
  private timer: NodeJS.Timeout | undefined
  private immediate: NodeJS.Immediate | undefined
  private warm = false
  private warming = 0
  private closing: Promise<void> | undefined
  private idle: (() => void) | undefined
  private failure: Error | undefined
  /** Seconds that a request lately took of the device: what the time to retry is told from. */
  private secondsPerRequest = 0.001

  /** @internal */
  constructor(model: ModelOf<I, R>, options: BatcherOptions<I>) {
    const settings = settingsOf(model, options)
    this.settings = settings
    this.name = settings.name
    this.fields = new InputFields(this.owner, options.input, settings.inFlight * (settings.sizes.at(-1) as number))
    this.figures = new BatcherFigures(settings.sizes)
    this.runner = new BatchRunner(
      this.owner,
      forwardOf(model),
      this.fields,
      settings.sizes,
      settings.maxShapes,
      settings.lanes,
    )
    this.weights = settings.model && new WeightSwap(this.owner, settings.model)
  }

  private get owner(): string {
    return `batcher ${this.name}`
  }

  /** Requests that wait for a batch. */
  get queued(): number {
    return this.queue.length
  }

  /** Requests whose batch is running. */
  get inFlight(): number {
    return this.started.size
  }

  /**
   * The model's answer to one sample: for each output its row, without the batch axis. Rejects with `ShapeError`,
   * `DTypeError` or `ArgumentError` where the sample is not what was declared, with `OverloadedError` at once where the
   * queue is full, with `DeadlineError` when the request's time is up, with the signal's reason when that aborts (before, in
   * the queue or while its batch runs), with `ClosedError` after `close()`, and with what the run fails with.
   */
  predict(sample: SampleOf<I>, options: PredictOptions = {}): Promise<RowsOf<R>> {
    try {
      return this.accept(sample, optionsOf(`${this.owner}: predict`, options))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * Throws what a request of that priority would be turned away with now, and counts it as turned away; for use before
   * the request's body is read, so that too much load costs next to nothing.
   */
  admit(priority: Priority = 'normal'): void {
    const refusal = this.refusal(priority)
    if (!refusal) return
    this.figures.requests[refusal instanceof ClosedError ? 'closed' : 'overloaded']++
    throw refusal
  }

  private refusal(priority: Priority): ClosedError | OverloadedError | undefined {
    if (this.closing) return new ClosedError(`${this.owner}: it was closed and takes no more requests`)
    if (this.queue.length < this.settings.maxQueue || this.queue.lessImportantThan(priority)) return undefined
    return this.overloaded('the request was not taken')
  }

  private accept(sample: SampleOf<I>, options: PredictOptions): Promise<RowsOf<R>> {
    const { priority = 'normal', signal, deadlineMs = this.settings.deadlineMs } = options
    oneOf(this.owner, 'the priority', priority, PRIORITIES)
    if (deadlineMs !== undefined) numberIn(this.owner, 'deadlineMs', deadlineMs, 0, LONGEST_MS)
    if (signal?.aborted) return this.turnAway('aborted', signal.reason)
    // Before the sample is looked at: turning away must cost next to nothing.
    this.admit(priority)
    const full = this.queue.length >= this.settings.maxQueue
    let checked: ReturnType<InputFields['check']>
    try {
      checked = this.fields.check(sample)
    } catch (error) {
      return this.turnAway('error', error)
    }
    if (full)
      this.queue
        .lessImportantThan(priority)
        ?.fail(this.overloaded('the request made room for a more important one'), 'overloaded')
    const request = new PendingRequest<RowsOf<R>>({
      sample: checked,
      priority,
      signal,
      deadlineMs,
      owner: this.owner,
      onEnd: (ended, outcome) => this.ended(ended as PendingRequest<RowsOf<R>>, outcome),
    })
    this.queue.add(request)
    this.schedule(this.queue.length >= this.runner.limit ? 0 : this.settings.maxDelayMs)
    return request.result
  }

  private turnAway(outcome: RequestOutcome, error: unknown): Promise<never> {
    this.figures.requests[outcome]++
    return Promise.reject(error)
  }

  private overloaded(what: string): OverloadedError {
    const retryAfterMs = Math.max(1, Math.ceil(1000 * this.secondsPerRequest * (this.queue.length + this.inFlight)))
    return new OverloadedError(
      `${this.owner}: ${this.queue.length} requests wait, the most there may be, so ${what}; try again in ${retryAfterMs} ms`,
      retryAfterMs,
    )
  }

  private ended(request: PendingRequest<RowsOf<R>>, outcome: RequestOutcome): void {
    this.figures.requests[outcome]++
    if (request.startedAt === undefined) this.queue.remove(request)
    else this.started.delete(request)
    this.fields.release(request.sample)
    if (outcome === 'ok') this.figures.latency.record((performance.now() - request.cameAt) / 1000)
    this.noteIdle()
  }

  /** Looks at the queue in so many milliseconds at the latest; never within the caller's own turn. */
  private schedule(delayMs: number): void {
    if (this.immediate) return
    if (delayMs <= 0) {
      clearTimeout(this.timer)
      this.timer = undefined
      this.immediate = setImmediate(() => {
        this.immediate = undefined
        unscoped(() => this.pump())
      })
    } else if (!this.timer) {
      this.timer = setTimeout(() => {
        this.timer = undefined
        unscoped(() => this.pump())
      }, delayMs)
    }
  }

  /**
   * Begins the batch that may go, and the next when the device has been given its run and the reading of its results: given
   * both runs first, the device would answer the first batch only with the second, and then have nothing to do.
   */
  private pump(): void {
    if (this.giving || this.running >= this.settings.inFlight) return
    const delay = this.closing ? 0 : this.settings.maxDelayMs
    const next = this.queue.next(this.runner.limit, delay, performance.now())
    if (typeof next === 'number') this.schedule(next)
    else if (next) void this.begin(next)
  }

  private async begin(batch: PendingRequest<RowsOf<R>>[]): Promise<void> {
    this.running++
    const start = performance.now()
    for (const request of batch) {
      request.startedAt = start
      this.started.add(request)
      this.figures.waiting.record((start - request.cameAt) / 1000)
    }
    await this.run(batch)
    const seconds = (performance.now() - start) / 1000
    this.figures.running.record(seconds)
    this.secondsPerRequest += 0.1 * (seconds / batch.length / this.settings.inFlight - this.secondsPerRequest)
    recordSpan({ name: `batch of ${batch.length}`, category: 'serve', lane: this.owner, start, end: performance.now() })
    this.running--
    this.noteIdle()
    this.pump()
  }

  private async give(samples: readonly Sample[]): Promise<RowsOf<R>[]> {
    this.giving = true
    let told = false
    const given = (): void => {
      if (told) return
      told = true
      this.giving = false
      this.pump()
    }
    try {
      return await this.runner.run(samples, given)
    } finally {
      given()
    }
  }

  /** Settles every request of a batch; where memory does not suffice, or one of them is bad, in parts. */
  private async run(batch: readonly PendingRequest<RowsOf<R>>[]): Promise<void> {
    const requests = batch.filter(({ pending }) => pending)
    if (requests.length === 0) return
    this.figures.batches++
    this.figures.batchSize.record(requests.length)
    try {
      const rows = await this.give(requests.map(({ sample }) => sample))
      requests.forEach((request, i) => request.succeed(rows[i] as RowsOf<R>))
      this.warm = true
      this.failure = undefined
    } catch (error) {
      if (requests.length > 1 && (error instanceof OutOfMemoryError || error instanceof ArgumentError)) {
        this.figures.divided++
        const half = Math.ceil(requests.length / 2)
        await this.run(requests.slice(0, half))
        await this.run(requests.slice(half))
        return
      }
      if (error instanceof StateLostError || error instanceof DeviceLostError) this.failure = error
      for (const request of requests) request.fail(error, 'error')
    }
  }

  /**
   * Compiles and runs the model once for every size of batch, so that no request waits for that. Until it has, or a first
   * batch was answered, `health()` says that it is not ready. Inputs whose shape varies need `shapes`: those of one sample
   * for each input in order, to be called once for each usual set of them.
   */
  async warmUp(shapes?: readonly Shape[]): Promise<void> {
    const known = shapes ?? this.fields.fixedShapes
    if (!known)
      throw new ArgumentError(`${this.owner}: warmUp needs the shapes of one sample, as some inputs vary in shape`)
    this.warming++
    try {
      await unscoped(() => this.runner.warmUp(known))
      this.warm = true
    } finally {
      this.warming--
    }
  }

  /**
   * Gives the model new weights: of a state dict, or those that another model of the same layers has when the steps
   * queued so far have run, such as one that is being trained. They are brought to the device beside the old ones and put in
   * place in one run between two batches: no request sees parts of both, and those in flight finish with the old. Resolves
   * when they are in place. Rejects with `StateDictError` where names or shapes do not fit, and with `OutOfMemoryError`
   * where both do not fit into memory; then the old ones stay.
   */
  async swap(source: StateDict | Module): Promise<void> {
    if (!this.weights) {
      throw new ArgumentError(
        `${this.owner}: it was given a function and not told the model whose weights swap is to replace; pass { model }`,
      )
    }
    await unscoped(() => (this.weights as WeightSwap).load(source))
    if (this.failure instanceof StateLostError) this.failure = undefined
    this.figures.swaps++
  }

  /** Whether it lives, whether it should be sent requests, and why. */
  health(): Health {
    const { failure, queue } = this
    const state = (live: boolean, ready: boolean, status: Health['status'], why: string): Health => ({
      live,
      ready,
      status,
      why,
    })
    if (this.closing && this.inFlight + queue.length === 0) return state(true, false, 'closed', 'it was closed')
    if (this.closing)
      return state(
        true,
        false,
        'draining',
        `it was closed and answers the last ${this.inFlight + queue.length} requests`,
      )
    if (failure instanceof DeviceLostError) return state(false, false, 'failed', failure.message)
    if (failure) return state(true, false, 'failed', failure.message)
    if (!this.warm)
      return state(true, false, 'starting', this.warming > 0 ? 'it is warming up' : 'it has not been warmed up')
    if (queue.length >= this.settings.maxQueue)
      return state(true, false, 'overloaded', `all ${queue.length} places of its queue are taken`)
    return state(true, true, 'ready', 'it answers requests')
  }

  /**
   * Takes no more requests, and resolves when those it has are answered. What is not after `graceMs` (default: no limit)
   * rejects with `ClosedError`. Called again it gives the same promise.
   */
  close(options: CloseOptions = {}): Promise<void> {
    const { graceMs } = optionsOf(`${this.owner}: close`, options)
    if (graceMs !== undefined) numberIn(this.owner, 'graceMs', graceMs, 0, LONGEST_MS)
    this.closing ??= this.drain(graceMs)
    return this.closing
  }

  private async drain(graceMs: number | undefined): Promise<void> {
    const drained = new Promise<void>((resolve) => (this.idle = resolve))
    const limit =
      graceMs === undefined
        ? undefined
        : setTimeout(() => {
            const error = new ClosedError(`${this.owner}: it was closed, and the ${graceMs} ms it had left were up`)
            for (const request of this.queue.takeAll()) request.fail(error, 'closed')
            for (const request of [...this.started]) request.fail(error, 'closed')
            this.idle?.()
          }, graceMs)
    // `closing` is set when this returns; what waits goes without further delay.
    this.schedule(0)
    this.noteIdle()
    await drained
    clearTimeout(limit)
    clearTimeout(this.timer)
  }

  private noteIdle(): void {
    if (this.running + this.inFlight + this.queue.length === 0) this.idle?.()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/**
 * Answers requests one by one with a model that is run on many at a time.
 *
 * How the queue works. Requests of one shape wait together. A batch goes when `maxBatch` of them are there or when the oldest
 * has waited `maxDelayMs`, and while fewer than `inFlight` batches are running; who waits because those are, goes with all that
 * came meanwhile, so that batches grow with the load. In a batch the more important come first, then the older; of several
 * shapes, the one with the more important, then older first request. A full queue turns newcomers away at once; where less
 * important requests wait, the youngest of the least important has to go instead. Batches are filled up to one of `sizes`, so
 * that `compile` sees few signatures. Where memory does not suffice, a batch is run again in halves, and for a while batches
 * stay so small; where the run of a batch fails for an index out of range, halves find the request it is in, and that
 * one alone fails. Full batches, which mean that more are waiting, are computed beside one another in `lanes` on the CPU,
 * smaller ones one by one by all threads.
 *
 * Runs go before those of normal priority that wait on the same device, as those of a training are.
 *
 * @example
 * const digits = batcher(model.eval(), { input: { shape: [784] }, maxBatch: 32, maxDelayMs: 2 })
 * await digits.warmUp()
 * const { data } = await digits.predict(pixels, { signal, deadlineMs: 100 })
 */
export function batcher<const I extends Inputs, R extends Outputs>(
  model: ModelOf<I, R>,
  options: BatcherOptions<I>,
): Batcher<I, R> {
  return new Batcher(model, options)
}
