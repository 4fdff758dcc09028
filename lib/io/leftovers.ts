// What saves that did not end leave behind: their names say whose they are, and they go once that process is gone.
import { randomBytes } from 'node:crypto'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'

const PREFIX = '.tmp-'
/** What another machine has left on a shared disk is old enough to go, in milliseconds. */
const FOREIGN_AGE = 24 * 3600 * 1000

/** When a process began, in the kernel's ticks: a number that is used again is told apart. Undefined where it is gone. */
async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  // The second field, the command in brackets, may hold blanks and brackets; the start is the 22nd.
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19]
}

const hostName = (): string => hostname().replace(/[^A-Za-z0-9]/g, '_') || 'host'

/** A name, in the folder `root`, for what becomes `name` when it is whole. */
export async function leftoverName(root: string, name: string): Promise<string> {
  const start = (await startOf(process.pid)) ?? '0'
  return join(root, `${PREFIX}${name}-${hostName()}-${process.pid}-${start}-${randomBytes(4).toString('hex')}`)
}

/** Whether the process is still there that has this id and began then; where the kernel does not say when, by its id. */
async function isAlive(pid: number, start: string): Promise<boolean> {
  if (start !== '0') return (await startOf(pid)) === start
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** Removes what saves of processes that are gone have left in `root`: of everything, or of what becomes `target`. */
export async function removeLeftovers(root: string, target = ''): Promise<void> {
  for (const name of await readdir(root)) {
    if (!name.startsWith(PREFIX + target)) continue
    const match = /^\.tmp-.*-([A-Za-z0-9_]+)-(\d+)-(\d+)-[0-9a-f]{8}$/.exec(name)
    if (!match) continue
    const [, host, pid, start] = match
    const path = join(root, name)
    if (host === hostName() ? await isAlive(Number(pid), start as string) : !(await isOld(path))) continue
    await rm(path, { recursive: true, force: true })
  }
}

async function isOld(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  return found !== undefined && Date.now() - found.mtimeMs > FOREIGN_AGE
}
