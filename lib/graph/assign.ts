// Assignment: gives cells their next values, together; recorded in a trace, enqueued at once outside one.
import type { Buffer } from '../runtime/buffer.js'
import type { CellState } from './cell.js'
import { identityOf } from './identity.js'
import type { Value } from './node.js'
import { realize } from './realize.js'
import { currentTrace } from './trace.js'

/** Sets every cell to its value. All are checked before any changes. */
export function assignAll(pairs: readonly (readonly [CellState, Value])[]): void {
  for (const [cell, value] of pairs) cell.check(value)
  const trace = currentTrace()
  if (trace) {
    for (const [cell, value] of pairs) {
      trace.cells.set(cell, value)
      trace.assigned.add(cell)
    }
    return
  }
  // Copies, since no tensor shares a cell's bytes.
  const copies = pairs.map(([, value]) => identityOf(value))
  const { done, executable } = realize(copies)
  // Nobody might notice later: an assignment that fails leaves the cells as they were.
  executable?.wait()
  for (const copy of copies) copy.node.letGo()
  pairs.forEach(([cell], i) => {
    cell.replace((copies[i] as Value).buffer as Buffer, done)
  })
}
