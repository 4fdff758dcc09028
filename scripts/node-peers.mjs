// Installs onnxruntime-node, beside which heddle is measured, into a folder of .peers, once; prints the file to import. It is
// no dependency: its install script would fetch hundreds of megabytes for CUDA from elsewhere, and is not run here.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const PEER = 'onnxruntime-node'
const VERSION = '1.30.0'

const folder = fileURLToPath(new URL(`../.peers/${PEER}-${VERSION}`, import.meta.url))
const found = join(folder, 'node_modules', PEER)
if (!existsSync(join(found, 'package.json'))) {
  mkdirSync(folder, { recursive: true })
  const options = ['--ignore-scripts', '--no-save', '--no-audit', '--no-fund', '--no-package-lock', '--prefix', folder]
  execFileSync('npm', ['install', ...options, `${PEER}@${VERSION}`], { stdio: ['ignore', 'ignore', 'inherit'] })
}
console.log(createRequire(join(folder, 'index.js')).resolve(PEER))
