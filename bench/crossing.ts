// What a run costs on its way into the native library.
import { library } from '../lib/runtime/device.js'

/** Microseconds of each native call that enqueues a run while `work` goes on, by standing in front of it. */
export async function crossings(work: () => Promise<void>): Promise<number[]> {
  const native = library()
  const run = native.run.bind(native)
  const times: number[] = []
  native.run = (plan, handles) => {
    const start = performance.now()
    const ticket = run(plan, handles)
    times.push((performance.now() - start) * 1000)
    return ticket
  }
  try {
    await work()
  } finally {
    native.run = run
  }
  return times
}
