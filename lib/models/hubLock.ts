// One download of a blob at a time among processes: a file that its owner keeps fresh; what is no longer fresh belongs to nobody.
import { mkdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pause } from './hubRequest.js'

const HEARTBEAT = 2_000
/** An owner that has not shown itself for this long is gone. */
const STALE = 20_000
const POLL = 100

async function tryToTake(path: string): Promise<boolean> {
  try {
    await writeFile(path, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const found = await stat(path).catch(() => undefined)
  // Should two take what is stale at once, both write the same bytes to the same places.
  if (found && Date.now() - found.mtimeMs > STALE) await rm(path, { force: true })
  return false
}

/** Runs `work` while no other process that asks so does. */
export async function locked<T>(path: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true })
  while (!(await tryToTake(path))) await pause(POLL, signal)
  const beat = setInterval(() => {
    const now = new Date()
    utimes(path, now, now).catch(() => undefined)
  }, HEARTBEAT)
  beat.unref()
  try {
    return await work()
  } finally {
    clearInterval(beat)
    await rm(path, { force: true })
  }
}
