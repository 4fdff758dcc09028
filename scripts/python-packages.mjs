// Installs Python packages into a folder of .peers, once.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** Prints the folder that holds exactly these packages, after installing them where it is not there; else says why not. */
export function printInstalled(packages) {
  // Other versions are another folder.
  const version = createHash('sha256').update(packages.join(' ')).digest('hex').slice(0, 8)
  const folder = join(root, '.peers', `python-${version}`)
  if (!existsSync(folder)) install(packages, folder)
  if (existsSync(folder)) console.log(folder)
}

function install(packages, folder) {
  // Under another name first: a folder that is there is complete.
  const temporary = `${folder}-${process.pid}`
  mkdirSync(dirname(folder), { recursive: true })
  const options = [
    '--quiet',
    '--no-deps',
    '--disable-pip-version-check',
    '--no-input',
    '--only-binary',
    ':all:',
    '--target',
    temporary,
  ]
  try {
    execFileSync('python3', ['-m', 'pip', 'install', ...options, ...packages], {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: 240_000,
    })
    if (!existsSync(folder)) renameSync(temporary, folder)
  } catch (error) {
    const last = String(error.stderr ?? error.message)
      .trim()
      .split('\n')
      .at(-1)
    console.error(`${packages.join(', ')} can not be installed: ${last}`)
    process.exitCode = 1
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
}
