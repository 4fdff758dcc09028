// Runs programs as on a machine with no network, no compiler and no Python: namespaces of Linux, and a PATH of our own.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { emptyFolder } from './folders.js'
import { Skipped } from './results.js'

/** What npm and shell scripts start; nothing that builds. */
const COMMANDS = ['sh', 'env', 'cat', 'ls', 'uname', 'sed', 'dirname', 'basename', 'readlink', 'tar', 'gzip']

const bin = emptyFolder('bin')
symlinkSync(process.execPath, join(bin, 'node'))
for (const command of COMMANDS) {
  const path = ['/usr/bin', '/bin'].map((folder) => join(folder, command)).find(existsSync)
  if (path) symlinkSync(path, join(bin, command))
}

/** How this process may make namespaces: as root, as a user, or not at all. */
const unshare = ((): readonly string[] | undefined => {
  for (const options of [['-n'], ['-rn']])
    if (spawnSync('unshare', [...options, 'true'], { stdio: 'ignore' }).status === 0) return ['unshare', ...options]
  return undefined
})()

export const isolation = unshare ? 'no network: a network namespace of its own' : 'none: unshare is not permitted here'

export interface Run {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  /** All file systems but those of the kernel can only be read. */
  readonly readOnly?: boolean
  readonly timeout?: number
}

export interface Output {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

function environment(env: Readonly<Record<string, string>> | undefined): Record<string, string> {
  const home = join(bin, '../home')
  mkdirSync(home, { recursive: true })
  return { PATH: bin, HOME: home, LANG: 'C.UTF-8', PREBUILDS_ONLY: '1', ...env }
}

/** Runs a command and gives what it said, however it ended. */
export function run(
  command: readonly string[],
  { cwd, env, readOnly = false, timeout = 120_000 }: Run,
): Promise<Output> {
  let line = [...command]
  if (readOnly) {
    if (!unshare || unshare.includes('-rn')) throw new Skipped('making file systems read-only takes root')
    // -m as well: only the mounts of this command change.
    const script = 'mount --make-rprivate / && mount -o remount,bind,ro / && exec "$@"'
    line = ['unshare', '-nm', '/bin/sh', '-c', `PATH=/usr/sbin:/usr/bin:/sbin:/bin; ${script}`, 'sh', ...line]
  } else if (unshare) line = [...unshare, ...line]
  return new Promise((done, failed) => {
    const [program = '', ...argv] = line
    const inherited = program === 'unshare' ? '/usr/bin/unshare' : program
    const child = spawn(inherited, argv, {
      cwd,
      env: environment(env),
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout,
      killSignal: 'SIGKILL',
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    child.on('error', failed)
    child.on('close', (status, signal) => done({ status, signal, stdout, stderr }))
  })
}

/** Runs a program that prints one line of JSON last, and gives that; throws with what it said where it fails. */
export async function figures(command: readonly string[], options: Run): Promise<Record<string, unknown>> {
  const { status, signal, stdout, stderr } = await run(command, options)
  if (status !== 0) throw new Error(`it ended with ${signal ?? status}\n${(stderr || stdout).slice(0, 1500)}`)
  const last = stdout.trim().split('\n').at(-1) ?? ''
  try {
    return JSON.parse(last) as Record<string, unknown>
  } catch {
    throw new Error(`it printed ${last.slice(0, 200) || 'nothing'} instead of its figures\n${stderr.slice(0, 500)}`)
  }
}

/** Sees to it that the isolation is what it is said to be. */
export async function checkIsolation(): Promise<object> {
  const script = `
    const { spawnSync } = require('node:child_process')
    const there = ['cc', 'gcc', 'g++', 'clang', 'c++', 'make', 'cmake', 'ninja', 'python', 'python3', 'node-gyp']
      .filter((name) => spawnSync(name, ['--version']).error?.code !== 'ENOENT')
    const network = Object.values(require('node:os').networkInterfaces()).flat().filter(({ internal }) => !internal)
    console.log(JSON.stringify({ there, interfaces: network.length }))`
  const found = await figures([join(bin, 'node'), '-e', script], { cwd: emptyFolder('isolation') })
  if ((found['there'] as string[]).length > 0) throw new Error(`there are ${String(found['there'])}`)
  if (unshare && found['interfaces'] !== 0) throw new Error('there is a network')
  if (!unshare) throw new Skipped('unshare is not permitted here: programs run with the network there is')
  return { isolation }
}

/** npm's own program, started by this Node. */
export const npmCommand = (): string => {
  const [folder] = execFileSync('npm', ['root', '--global'], { encoding: 'utf8' }).trim().split('\n')
  return join(folder ?? '', 'npm/bin/npm-cli.js')
}

export const node = join(bin, 'node')
