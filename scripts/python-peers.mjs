// Installs the Python libraries that heddle's files are compared with into .peers/python, once; prints that folder.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const PACKAGES = ['numpy==2.4.6', 'safetensors==0.8.0']

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const folder = join(root, '.peers', 'python')

if (!existsSync(folder)) {
  // Under another name first: a folder that is there is complete.
  const temporary = `${folder}-${process.pid}`
  mkdirSync(dirname(folder), { recursive: true })
  const options = [
    '--quiet',
    '--disable-pip-version-check',
    '--no-input',
    '--only-binary',
    ':all:',
    '--target',
    temporary,
  ]
  try {
    execFileSync('python3', ['-m', 'pip', 'install', ...options, ...PACKAGES], {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: 240_000,
    })
    if (!existsSync(folder)) renameSync(temporary, folder)
  } catch (error) {
    const last = String(error.stderr ?? error.message)
      .trim()
      .split('\n')
      .at(-1)
    console.error(`python-peers: ${PACKAGES.join(' and ')} can not be installed: ${last}`)
    process.exitCode = 1
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
}
if (existsSync(folder)) console.log(folder)
