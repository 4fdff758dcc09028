// Runs examples as people run them, in processes of their own; of one thread each.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { temporaryFolder } from '../io/folder.js'
import { ONE_THREAD } from '../oneThread.js'

export const root = fileURLToPath(new URL('../..', import.meta.url))
export const programOf = (example: string): string => join(root, 'dist', 'examples', `${example}.js`)

/** What an example prints. */
export async function runIn(environment: NodeJS.ProcessEnv, example: string, ...options: string[]): Promise<string> {
  const env = { ...process.env, ...ONE_THREAD, ...environment }
  return (await promisify(execFile)(process.execPath, [programOf(example), ...options], { env, maxBuffer: 2 ** 24 }))
    .stdout
}

export const run = (example: string, ...options: string[]): Promise<string> => runIn({}, example, ...options)

/** The figures that an example writes at small size. */
export async function figuresOf<T>(example: string): Promise<T> {
  const file = join(await temporaryFolder(), `${example}.json`)
  await run(example, '--json', file)
  return JSON.parse(readFileSync(file, 'utf8')) as T
}
