// The registers, memory and spills of every CUDA kernel of the last build, and which spills are accounted for.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { out } from './cuda-build-state.mjs'
import { sourceNames } from './elf.mjs'
import { filesBelow } from './fingerprint.mjs'
import { parsePtxasLog } from './ptxas-log.mjs'
import { root } from './wheels.mjs'

const folder = join(root, 'native/cuda')
/** The spills that are meant: a pattern of a kernel's name (`*` for anything) and the reason. */
const SPILLS = 'native/cuda/spills.json'

/**
 * `{ source, name, kernel, architectures }` of every kernel, and of every function that was not inlined;
 * `architectures` maps `sm_80` to its figures.
 */
export function kernelFigures() {
  const sources = filesBelow(folder).filter((file) => file.endsWith('.cu'))
  return sources.flatMap((file) => {
    const source = file.slice(folder.length + 1)
    const log = join(out, 'kernels', `${source}.log`)
    if (!existsSync(log)) throw new Error(`native/cuda/${source} is not compiled: run npm run build:cuda`)
    const records = parsePtxasLog(readFileSync(log, 'utf8'))
    const symbols = [...new Set(records.map(({ symbol }) => symbol))]
    const names = sourceNames(symbols)
    return symbols.map((symbol, i) => {
      const own = records.filter((record) => record.symbol === symbol)
      const figures = ({ architecture, registers, shared, stack, spillStores, spillLoads }) => [
        architecture,
        { registers, shared, stack, spillStores, spillLoads },
      ]
      return { source, name: names[i], kernel: own[0].kernel, architectures: Object.fromEntries(own.map(figures)) }
    })
  })
}

/** The architecture where a figure is largest, and the figure. */
export function worst({ architectures }, figure) {
  const entries = Object.entries(architectures).map(([architecture, figures]) => [architecture, figures[figure] ?? 0])
  return entries.reduce((a, b) => (b[1] > a[1] ? b : a))
}

export const spills = (kernel) => worst(kernel, 'spillStores')[1] > 0 || worst(kernel, 'spillLoads')[1] > 0

/** A pattern of whole names, `*` standing for anything. */
export function patternOf(pattern) {
  const literal = (part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
  const expression = new RegExp(`^${pattern.split('*').map(literal).join('.*')}$`)
  return { pattern, matches: (name) => expression.test(name) }
}

/** Reads and checks the list of spills that are meant. */
export function meantSpills() {
  const list = Object.entries(JSON.parse(readFileSync(join(root, SPILLS), 'utf8')))
  const mute = list.find(([, reason]) => typeof reason !== 'string' || reason.trim() === '')
  if (mute) throw new Error(`${SPILLS}: '${mute[0]}' has no reason: write why its kernels may spill`)
  return list.map(([pattern]) => patternOf(pattern))
}

/** A sentence for each spill that is not meant and, where `complete`, for each entry of the list no kernel needs. */
export function spillFailures(kernels, meant, complete) {
  const spilling = kernels.filter(spills)
  const unmeant = spilling.filter(({ name }) => !meant.some(({ matches }) => matches(name)))
  const stale = complete ? meant.filter(({ matches }) => !spilling.some(({ name }) => matches(name))) : []
  return [
    ...unmeant.map((kernel) => {
      const [architecture, stored] = worst(kernel, 'spillStores')
      const where = `${kernel.name} (${kernel.source}) spills: it stores ${stored} bytes on ${architecture}`
      return `${where}; give it more registers or less to hold, or add it to ${SPILLS} with a reason`
    }),
    ...stale.map(({ pattern }) => `${SPILLS}: no kernel that '${pattern}' matches spills: remove it`),
  ]
}
