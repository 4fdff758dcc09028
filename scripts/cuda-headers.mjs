// Fetches the headers of cuBLAS, cuDNN and NVRTC, and nothing else, out of their pinned wheels into .deps/cuda-headers.
// `--whole` downloads the wheels (900 MB) instead, for an index that sends no parts of files. Parts are held against the
// archive's own checksums, whole wheels against the pinned hashes; nothing of either is shipped.
import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { headers } from './cuda-build-state.mjs'
import { NoRangesError, readMember, remoteMembers } from './remote-zip.mjs'
import { deps, WHEELS, wheels } from './wheels.mjs'

const NAMES = ['nvidia-cublas', 'nvidia-cudnn-cu13', 'nvidia-cuda-nvrtc']
const isHeader = (name) => /\/include\/[^/]+\.h$/.test(name)

/** The index pip asks: its configuration's, else its own default. */
function packageIndex() {
  const ask = (...args) =>
    execFileSync('python3', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  if (process.env.PIP_INDEX_URL) return process.env.PIP_INDEX_URL
  try {
    return ask('-m', 'pip', 'config', 'get', 'global.index-url')
  } catch {
    return ask('-c', 'from pip._internal.models.index import PyPI; print(PyPI.simple_url)')
  }
}

/** Where the index keeps the file of the pinned hash (PEP 503: the hash is the link's fragment). */
async function wheelAddress(index, name) {
  if (new URL(index).username) throw new Error('the package index asks for a password, which only --whole can give')
  const page = `${index.replace(/\/$/, '')}/${name}/`
  const response = await fetch(page, { headers: { accept: 'text/html' } })
  if (!response.ok) throw new Error(`the package index answered ${response.status} for ${name}`)
  const hash = WHEELS[name][1]
  for (const [, link] of (await response.text()).matchAll(/href="([^"]+)"/g)) {
    const address = new URL(link.replaceAll('&amp;', '&'), response.url)
    if (address.hash === `#sha256=${hash}`) return address.href.slice(0, -address.hash.length)
  }
  throw new Error(`the package index lists no file of ${name} with the pinned SHA-256 ${hash}`)
}

async function fetchParts(folder) {
  const index = packageIndex()
  for (const name of NAMES) {
    const url = await wheelAddress(index, name)
    const members = (await remoteMembers(url)).filter((member) => isHeader(member.name))
    if (members.length === 0) throw new Error(`the wheel of ${name} ${WHEELS[name][0]} holds no headers`)
    for (const member of members) writeFileSync(join(folder, basename(member.name)), await readMember(url, member))
    const bytes = members.reduce((sum, { packed }) => sum + packed, 0)
    console.log(`${name} ${WHEELS[name][0]}: ${members.length} headers, ${Math.ceil(bytes / 1024)} KiB fetched`)
  }
}

function fetchWhole(folder) {
  const whole = wheels('cuda-libraries', NAMES)
  for (const file of readdirSync(whole, { recursive: true }).filter((name) => isHeader(`/${name}`)))
    cpSync(join(whole, file), join(folder, basename(file)))
}

const pins = NAMES.map((name) => `${name}==${WHEELS[name][0]} ${WHEELS[name][1]}\n`).join('')
const stamp = join(headers, 'wheels.txt')
if (existsSync(stamp) && readFileSync(stamp, 'utf8') === pins) process.exit(0)
mkdirSync(deps, { recursive: true })
const work = mkdtempSync(join(deps, 'headers-'))
try {
  if (process.argv.includes('--whole')) fetchWhole(work)
  else await fetchParts(work)
  writeFileSync(join(work, 'wheels.txt'), pins)
  rmSync(headers, { recursive: true, force: true })
  renameSync(work, headers)
} catch (error) {
  const hint =
    error instanceof NoRangesError ? ': run node scripts/cuda-headers.mjs --whole, which downloads 900 MB' : ''
  console.error(`The CUDA libraries' headers could not be fetched: ${error.message}${hint}`)
  process.exitCode = 1
} finally {
  rmSync(work, { recursive: true, force: true })
}
