// Times something as Benchmark.js and benny do: samples of enough runs each, until there are enough of them; medians.

/** What samples say of one run; seconds. */
export interface Timing {
  /** The median of the samples, and the time below which 99 of 100 of them are. */
  readonly p50: number
  readonly p99: number
  readonly least: number
  /** Bounds between which the median of all such samples lies, with 95 % confidence. */
  readonly low: number
  readonly high: number
  readonly samples: number
  /** Runs per sample. */
  readonly cycles: number
}

export interface SamplingOptions {
  /** Samples are taken until they are this long together; or, with what is done before them, several times as long. */
  readonly seconds: number
  /** But at least as many. Default 7. */
  readonly minSamples?: number
  /** And at most as many. Default 1000. */
  readonly maxSamples?: number
  /** Runs per sample; default: so many that a sample takes ten milliseconds. */
  readonly cycles?: number
  /** Done before each sample, and not timed. */
  readonly before?: () => Promise<void>
  /** Told the seconds of a run of each sample. */
  readonly onSample?: (seconds: number) => void
}

/**
 * Ten thousand times what the clock tells apart, and long enough that of short kernels several follow one another, as
 * where a program runs: the first one's way to the device and the last one's way back are those of the sample.
 * Benchmark.js takes 50 ms.
 */
const SAMPLE_SECONDS = 1e-2
const MOST_CYCLES = 1000
/** Of `seconds`, with what is done before samples. */
const MOST_TIMES = 8

const clock = (): number => performance.now() / 1000

/** The value below which a share of the sorted values lie. */
function quantile(sorted: readonly number[], share: number): number {
  const position = share * (sorted.length - 1)
  const below = Math.floor(position)
  const [a, b] = [sorted[below] as number, sorted[Math.min(below + 1, sorted.length - 1)] as number]
  return a + (b - a) * (position - below)
}

/** Times of samples, in seconds, as a timing; `cycles` runs were in each. */
export function timingOf(seconds: readonly number[], cycles: number): Timing {
  const sorted = seconds.map((time) => time / cycles).sort((a, b) => a - b)
  const { length } = sorted
  // Ranks between which the median lies: a binomial's, taken for normal (Conover 1999, 3.2).
  const reach = (1.96 * Math.sqrt(length)) / 2
  const at = (rank: number): number => sorted[Math.min(length - 1, Math.max(0, rank))] as number
  return {
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    least: at(0),
    low: at(Math.floor(length / 2 - reach)),
    high: at(Math.ceil(length / 2 + reach)),
    samples: length,
    cycles,
  }
}

/** Times `run`, which is given how many runs to do, and settles when they are done. */
export async function sample(run: (cycles: number) => Promise<void>, options: SamplingOptions): Promise<Timing> {
  const { seconds, minSamples = 7, maxSamples = 1000, before, onSample } = options
  const once = async (cycles: number): Promise<number> => {
    await before?.()
    const start = clock()
    await run(cycles)
    return clock() - start
  }
  // Kernels are made at the first run, memory comes from the pool from the second on.
  await once(1)
  const first = await once(1)
  const cycles = options.cycles ?? Math.min(MOST_CYCLES, Math.max(1, Math.ceil(SAMPLE_SECONDS / first)))
  const times: number[] = []
  let timed = 0
  const end = clock() + MOST_TIMES * seconds
  const goesOn = (): boolean => timed < seconds && times.length < maxSamples && clock() < end
  while (times.length < minSamples || goesOn()) {
    const time = await once(cycles)
    times.push(time)
    onSample?.(time / cycles)
    timed += time
  }
  return timingOf(times, cycles)
}
