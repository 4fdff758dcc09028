// What `ptxas -v` says of each function, read from nvcc's output.

const COMPILING = /Compiling entry function '(.+)' for '(sm_\w+)'/
const PROPERTIES = /Function properties for (\S+)/
const STACK = /(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads/
const USED = /Used (\d+) registers/
const SHARED = /(\d+) bytes smem/

/**
 * One record per function and architecture: `{ symbol, architecture, kernel, registers, shared, stack, spillStores,
 * spillLoads }`, sizes in bytes, shared memory the static part. Functions that were not inlined have `kernel: false`
 * and no registers of their own. Throws where a kernel's figures are not all there.
 */
export function parsePtxasLog(text) {
  const records = []
  let entry
  let current
  for (const line of text.split('\n')) {
    const compiling = COMPILING.exec(line)
    const properties = PROPERTIES.exec(line)
    const stack = STACK.exec(line)
    const used = USED.exec(line)
    if (compiling) {
      const [, symbol, architecture] = compiling
      entry = current = { symbol, architecture, kernel: true, registers: null, shared: 0, stack: null }
      records.push(entry)
    } else if (properties) {
      if (!entry) throw new Error(`ptxas names the function ${properties[1]} before any kernel`)
      if (properties[1] !== entry.symbol) {
        current = { symbol: properties[1], architecture: entry.architecture, kernel: false, registers: null, shared: 0 }
        records.push(current)
      }
    } else if (stack && current) {
      const [, bytes, stores, loads] = stack.map(Number)
      Object.assign(current, { stack: bytes, spillStores: stores, spillLoads: loads })
    } else if (used && entry) {
      entry.registers = Number(used[1])
      entry.shared = Number(SHARED.exec(line)?.[1] ?? 0)
    }
  }
  const torn = records.find(({ kernel, registers, stack }) => stack == null || (kernel && registers === null))
  if (torn) throw new Error(`ptxas gives no figures of ${torn.symbol} for ${torn.architecture}`)
  return records
}
