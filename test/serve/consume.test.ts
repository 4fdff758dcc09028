// Consuming a stream: acknowledgement after the result, retries, dead letters, backpressure, and ends of every kind.
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { ArgumentError, ClosedError, OverloadedError } from '../../lib/index.js'
import { batcher, consume } from '../../lib/serve/index.js'
import { Scale, soon } from './models.js'

async function* counted(count: number, taken: number[] = []): AsyncGenerator<number> {
  for (let i = 0; i < count; i++) {
    taken.push(i)
    yield i
  }
}

/** A stream that never has anything more to say, and hears when it is ended. */
const silent = (first: number[]): AsyncIterable<number> => ({
  async *[Symbol.asyncIterator]() {
    yield* first
    await new Promise(() => undefined)
  },
})

const collect = () => {
  const done: [number, unknown][] = []
  const dead: [number, string][] = []
  return {
    done,
    dead,
    acknowledge: (event: number, result: unknown) => void done.push([event, result]),
    deadLetter: (event: number, error: unknown) => void dead.push([event, (error as Error).message]),
  }
}

describe('consume', () => {
  it('acknowledges each event after its result, with a batcher behind it', async () => {
    const scale = batcher(new Scale(), { input: { shape: [] }, maxBatch: 16, maxQueue: 16 })
    const { done, dead, ...ends } = collect()
    const handle = async (event: number): Promise<number> =>
      Number((await scale.predict(event === 70 ? Number.NaN : event)).data[0])
    // A busy machine may need more than the usual attempts.
    expect(await consume(counted(200), { handle, attempts: 10, ...ends })).toEqual({
      acknowledged: 199,
      deadLettered: 1,
    })
    for (const [event, result] of done) expect(result).toBe(2 * event)
    expect(new Set(done.map(([event]) => event)).size).toBe(199)
    expect(dead).toEqual([[70, expect.stringMatching(/NaN/)]])
    // More were in flight than its queue has places for: those were tried again.
    expect(scale.figures.requests.overloaded).toBeGreaterThan(0)
  })

  it('takes no more than it handles', async () => {
    const taken: number[] = []
    let running = 0
    let most = 0
    const handle = async (): Promise<void> => {
      most = Math.max(most, ++running)
      await pause(1)
      running--
    }
    await consume(counted(50, taken), { handle, inFlight: 4, ...collect() })
    expect(most).toBe(4)
    expect(taken).toHaveLength(50)
  })

  it('tries again what may pass, and gives up after so many attempts', async () => {
    const attempts: number[] = []
    const { done, dead, ...ends } = collect()
    const handle = async (event: number, { attempt }: { attempt: number }): Promise<string> => {
      attempts.push(attempt)
      if (event === 0 && attempt < 3) throw new OverloadedError('full', 1)
      if (event === 1) throw new OverloadedError('always full', 1)
      if (event === 2) throw new Error('never')
      return 'fine'
    }
    await consume(counted(3), { handle, attempts: 4, backoffMs: 1, ...ends })
    expect(done).toEqual([[0, 'fine']])
    expect(dead.sort()).toEqual([
      [1, 'always full'],
      [2, 'never'],
    ])
    expect(attempts).toHaveLength(3 + 4 + 1)
  })

  it('waits as long as an overloaded queue says', async () => {
    const times: number[] = []
    const { done, ...ends } = collect()
    const handle = async (_: number, { attempt }: { attempt: number }): Promise<string> => {
      times.push(performance.now())
      if (attempt === 1) throw new OverloadedError('full', 60)
      return 'fine'
    }
    await consume(counted(1), { handle, backoffMs: 1, ...ends })
    expect(done).toHaveLength(1)
    // Timers may go off a millisecond early.
    expect((times[1] as number) - (times[0] as number)).toBeGreaterThan(58)
  })

  it('ends with its signal, though the stream is silent, and finishes what it took', async () => {
    const stop = new AbortController()
    const { done, dead, ...ends } = collect()
    const handle = async (): Promise<string> => {
      await pause(20)
      return 'late'
    }
    const consumed = consume(silent([1, 2]), { handle, signal: stop.signal, ...ends })
    await pause(5)
    stop.abort()
    expect(await soon(consumed, 'consume')).toEqual({ acknowledged: 2, deadLettered: 0 })
  })

  it.each(['acknowledge', 'deadLetter', 'closed', 'stream'] as const)('rejects where %s fails', async (what) => {
    const fail = (): never => {
      throw new Error('lost')
    }
    const events =
      what === 'stream'
        ? (async function* () {
            yield 1
            fail()
          })()
        : silent([1])
    const handle = async (): Promise<string> => {
      if (what === 'deadLetter') throw new Error('bad')
      if (what === 'closed') throw new ClosedError('closed')
      return 'fine'
    }
    const ends = { ...collect(), ...(what === 'acknowledge' || what === 'deadLetter' ? { [what]: fail } : {}) }
    await expect(soon(consume(events, { handle, ...ends }), 'consume')).rejects.toThrow(
      what === 'closed' ? 'closed' : 'lost',
    )
    expect(ends.done).toHaveLength(what === 'stream' ? 1 : 0)
  })

  it('takes streams and functions only', async () => {
    await expect(consume([] as never, { handle: async () => 1, ...collect() })).rejects.toThrow(ArgumentError)
    await expect(consume(counted(1), { ...collect() } as never)).rejects.toThrow(/handle must be a function/)
  })
})
