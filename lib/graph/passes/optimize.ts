// The passes every graph goes through before it is lowered, in order.
import type { Graph } from '../lower.js'
import { fuseBias } from './epilogue.js'
import { dropUnused } from './results.js'
import { simplify } from './simplify.js'
import { splitUpdates } from './updates.js'

/** Dead code needs no pass (what no result depends on is never visited), common subexpressions are one node already. */
export const optimize = (graph: Graph): Graph => splitUpdates(dropUnused(fuseBias(simplify(graph))))
