// A service under load, heddle's and onnxruntime-node's with the same models, weights, queue and training in the background. At
// a rate and at its most with the small model; overloaded with the large one, since ten times what can be served of it is
// still what HTTP can bring to two cores.
//   node dist/bench/service.js [--json F] [--seconds S] [--rounds R] [--only heddle|onnxruntime]
// Both services in turn, R times (3), and of each figure the median; S (3) scales all phases.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ENGINES, type EngineName } from './service/engines.js'
import type { LoadOptions, LoadResult } from './service/load.js'
import type { ModelSize } from './service/model.js'
import type { Command, Report } from './service/server.js'

/** Of the small model, beside the training. */
const RATE = 200
const TURNS = 2
const CLIENTS = 48
const OVERLOAD = 10
/** Times it is overloaded and recovers before that is measured, and times it is measured. */
const CYCLES_BEFORE = 2
const CYCLES = 5
/** A tenth of a second counts as full speed from this share of the rate before. */
const FULL = 0.9

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string' },
  },
})
const SECONDS = Number(values.seconds)
const ROUNDS = Number(values.rounds)

/** With the small model. */
interface RateFigures {
  /** What it can serve beside the training, to clients that ask again when they have their answer; the speed that is left. */
  readonly requestsPerSecond: number
  readonly trainingShareAtMost: number
  /** At 200 requests a second: those that were turned away, and those with an answer that was neither 200 nor 503, or none. */
  readonly rejectedAtRate: number
  readonly errorsAtRate: number
  /** At 200 requests a second beside the training, and while nothing happens; in turns. */
  readonly eventLoopDelayP99Ms: number
  readonly idleDelayP99Ms: number
  readonly latencyP50Ms: number
  readonly latencyP99Ms: number
  /** How many times as long a training step takes beside 200 requests a second as alone, and the speed that is left. */
  readonly trainingSlowdown: number
  readonly trainingShare: number
}

/** With the large model. */
interface OverloadFigures {
  /** What it can serve of it. */
  readonly largeRequestsPerSecond: number
  /** At ten times that: offered in fact, and the time to turn a request away. Medians of five such times; of the longest
   * time the longest. */
  readonly offeredPerSecond: number
  readonly rejectedMs: number
  readonly rejectedP50Ms: number
  readonly rejectedMaxMs: number
  /** Resident memory over such a time and recovery. */
  readonly rssGrowthBytes: number
  /** From its end to full speed. */
  readonly recoveryMs: number
}

export interface ServiceFigures extends RateFigures, OverloadFigures {
  /** In all that time: answers that were neither 200 nor 503, or none. */
  readonly errors: number
}

/** As docs/serve.md advises for few cores; garbage is collected before memory is looked at. */
const NODE_OPTIONS = ['--no-parallel-scavenge', '--expose-gc']

const start = (file: string, ...options: string[]): ChildProcess =>
  fork(fileURLToPath(new URL(`./service/${file}.js`, import.meta.url)), options, {
    stdio: 'inherit',
    execArgv: NODE_OPTIONS,
  })

/** Gives a process's next message; rejects where it ends instead. */
async function answerOf<A>(child: ChildProcess): Promise<A> {
  const settled = new AbortController()
  const { signal } = settled
  const ended = once(child, 'exit', { signal }).then(([code]) => {
    throw new Error(`a process of the benchmark ended with ${code}`)
  })
  try {
    return ((await Promise.race([once(child, 'message', { signal }), ended])) as [A])[0]
  } finally {
    settled.abort()
    ended.catch(() => undefined)
  }
}

function ask<A>(child: ChildProcess, message: Command | LoadOptions): Promise<A> {
  child.send(message)
  return answerOf(child)
}

interface Service {
  tell(command: Command): Promise<Report>
  load(options: Omit<LoadOptions, 'port'>): Promise<LoadResult>
  /** Steps of the training a second while something happens. */
  stepsPerSecond(during: () => Promise<unknown>): Promise<number>
}

/** Starts a service and a client, and ends both whatever becomes of `measure`; with the errors of all its loads. */
async function withService<F>(
  name: EngineName,
  size: ModelSize,
  measure: (service: Service) => Promise<F>,
): Promise<F & { readonly errors: number }> {
  const server = start('server', name, size)
  const client = start('load')
  let errors = 0
  try {
    const { port } = await answerOf<{ port: number }>(server)
    const tell = (command: Command): Promise<Report> => ask(server, command)
    const figures = await measure({
      tell,
      load: async (options) => {
        const result = await ask<LoadResult>(client, { port, ...options })
        errors += result.errors
        return result
      },
      stepsPerSecond: async (during) => {
        const [before, begun] = [(await tell({ report: true })).steps, performance.now()]
        await during()
        return ((await tell({ report: true })).steps - before) / ((performance.now() - begun) / 1000)
      },
    })
    return { ...figures, errors }
  } finally {
    server.kill()
    client.kill()
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)
const middle = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] as number

/** Answers a second to clients that wait for them. */
async function atMost({ load }: Service): Promise<number> {
  await load({ clients: CLIENTS, seconds: 1 })
  return (await load({ clients: CLIENTS, seconds: SECONDS })).ok / SECONDS
}

async function atRate(service: Service): Promise<RateFigures> {
  const { tell, load, stepsPerSecond } = service
  // Some thousand requests, after which what answers them has been compiled: a service runs for longer than that takes.
  await load({ clients: CLIENTS, seconds: SECONDS })
  const [alone, beside, loads]: [number[], number[], LoadResult[]] = [[], [], []]
  for (let turn = 0; turn < TURNS; turn++) {
    await tell({ training: false })
    await tell({ phase: 'idle' })
    await pause((SECONDS * 1000) / 2)
    await tell({ phase: 'none' })
    await tell({ training: true })
    alone.push(await stepsPerSecond(() => pause(SECONDS * 1000)))
    await tell({ phase: 'busy' })
    beside.push(await stepsPerSecond(async () => loads.push(await load({ rate: RATE, seconds: SECONDS }))))
    await tell({ phase: 'none' })
  }
  const { idleDelayP99Ms, busyDelayP99Ms } = await tell({ report: true })
  let requestsPerSecond = 0
  const atMostSteps = await stepsPerSecond(async () => {
    requestsPerSecond = await atMost(service)
  })
  return {
    requestsPerSecond,
    trainingShareAtMost: (atMostSteps * alone.length) / sum(alone),
    rejectedAtRate: sum(loads.map(({ rejected }) => rejected)),
    errorsAtRate: sum(loads.map(({ errors }) => errors)),
    eventLoopDelayP99Ms: busyDelayP99Ms,
    idleDelayP99Ms,
    latencyP50Ms: middle(loads.map(({ okMs }) => okMs.p50)),
    latencyP99Ms: middle(loads.map(({ okMs }) => okMs.p99)),
    trainingSlowdown: sum(alone) / sum(beside),
    trainingShare: sum(beside) / sum(alone),
  }
}

async function overloaded(service: Service): Promise<OverloadFigures> {
  const { tell, load } = service
  await tell({ training: true })
  const most = await atMost(service)
  const seconds = 2 * SECONDS
  let resident = 0
  const cycle = async () => {
    const over = await load({ rate: OVERLOAD * most, seconds })
    const { timeline } = await load({ clients: CLIENTS, seconds: SECONDS })
    const recovered = timeline.findIndex((answers) => answers * 10 >= FULL * most)
    // Memory is looked at once a time: what is collected again a moment later is less.
    const before = resident
    resident = (await tell({ report: true, collected: true })).rssBytes
    return {
      over,
      growth: resident - before,
      recoveryMs: recovered < 0 ? Number.POSITIVE_INFINITY : (recovered + 1) * 100,
    }
  }
  for (let before = 0; before < CYCLES_BEFORE; before++) await cycle()
  const cycles: Awaited<ReturnType<typeof cycle>>[] = []
  while (cycles.length < CYCLES) cycles.push(await cycle())
  return {
    largeRequestsPerSecond: most,
    offeredPerSecond: middle(cycles.map(({ over }) => over.sent)) / seconds,
    rejectedMs: middle(cycles.map(({ over }) => over.rejectedMs.p99)),
    rejectedP50Ms: middle(cycles.map(({ over }) => over.rejectedMs.p50)),
    rejectedMaxMs: Math.max(...cycles.map(({ over }) => over.rejectedMs.max)),
    rssGrowthBytes: middle(cycles.map(({ growth }) => growth)),
    recoveryMs: middle(cycles.map(({ recoveryMs }) => recoveryMs)),
  }
}

async function measure(name: EngineName): Promise<ServiceFigures> {
  const rate = await withService(name, 'small', atRate)
  const overload = await withService(name, 'large', overloaded)
  return { ...rate, ...overload, errors: rate.errors + overload.errors }
}

const rounds: Record<EngineName, ServiceFigures[]> = { heddle: [], onnxruntime: [] }
for (let round = 0; round < ROUNDS; round++)
  for (const name of ENGINES) if (!values.only || values.only === name) rounds[name].push(await measure(name))

/** Of each figure the median, but of what must never be the sum. */
function together(all: readonly ServiceFigures[]): ServiceFigures {
  const names = Object.keys(all[0] as ServiceFigures) as (keyof ServiceFigures)[]
  const summed = new Set<keyof ServiceFigures>(['errors', 'errorsAtRate', 'rejectedAtRate'])
  return Object.fromEntries(
    names.map((name) => {
      const found = all.map((figures) => figures[name])
      return [name, summed.has(name) ? sum(found) : middle(found)]
    }),
  ) as unknown as ServiceFigures
}

const figures = Object.fromEntries(
  ENGINES.filter((name) => rounds[name].length > 0).map((name) => [name, together(rounds[name])]),
)
console.table(figures)
if (values.json) writeFileSync(values.json, `${JSON.stringify({ ...figures, rounds }, null, 2)}\n`)
