// Installs the Python libraries that heddle's files are compared with into a folder of .peers, once; prints that folder.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const PACKAGES = [
  'numpy==2.4.6',
  'safetensors==0.8.0',
  // TensorBoard's reader of event files, and what that imports.
  'tensorboard==2.21.0',
  'protobuf==7.36.2',
  'absl-py==2.3.1',
  'packaging==25.0',
  'six==1.17.0',
  // scikit-learn's models, beside which an example's stands.
  'scikit-learn==1.9.1',
  'scipy==1.17.1',
  'joblib==1.6.0',
  'threadpoolctl==3.8.0',
  'narwhals==2.29.0',
]

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
// Other versions are another folder.
const version = createHash('sha256').update(PACKAGES.join(' ')).digest('hex').slice(0, 8)
const folder = join(root, '.peers', `python-${version}`)

if (!existsSync(folder)) {
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
    console.error(`python-peers: ${PACKAGES.join(', ')} can not be installed: ${last}`)
    process.exitCode = 1
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
}
if (existsSync(folder)) console.log(folder)
