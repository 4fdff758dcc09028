// Cases made so small that a cache holds all of them: how fast they are where memory plays no part.
import type { OperandSpec } from '../cases/case.js'
import { bytesOf } from '../schema/dtype.js'
import { type Shape, sizeOf } from '../schema/shape.js'
import { largestCacheBytes, ownCacheBytes } from './operands.js'
import type { Subject } from './subject.js'

/** Of the cores' own caches, and of the largest, which others on the machine use too. */
const OWN_SHARE = 1 / 2
const LARGEST_SHARE = 1 / 4

/** What so many cores hold of a case in their own caches, and in the one they share. */
export const cachedBytes = (cores: number): number[] => [
  OWN_SHARE * ownCacheBytes() * cores,
  LARGEST_SHARE * largestCacheBytes(),
]

type Shrink = (shape: Shape) => Shape

/** Less of the axes that have the extent `extent`: of the first ones, that rows stay as they are, or of all. */
const shrinks = (extent: number, less: number): Shrink[] => [
  (shape) => (shape[0] === extent ? [less, ...shape.slice(1)] : shape),
  (shape) => shape.map((length) => (length === extent ? less : length)),
]

/** Subjects like this one of `bytes`, but only of `fewer`, the likest first; some may not be computable. */
export function inCache(subject: Subject, bytes: number, fewer: number): Subject[] {
  const { operands, dtype } = subject
  const factor = Math.ceil(bytes / fewer)
  if (factor === 1) return []
  const sizes = (specs: readonly OperandSpec[]): number =>
    specs.reduce((sum, spec) => sum + sizeOf(spec.shape) * bytesOf(spec.dtype ?? dtype), 0)
  const largest = operands.reduce((a, b) => (sizeOf(b.shape) > sizeOf(a.shape) ? b : a))
  const extents = [largest.shape[0] ?? 1, Math.max(...operands.flatMap(({ shape }) => [...shape]))]
  const found: Subject[] = []
  for (const extent of extents) {
    const less = Math.floor(extent / factor)
    if (less === 0) continue
    for (const shrink of shrinks(extent, less)) {
      const smaller = operands.map((operand) => ({
        ...operand,
        shape: shrink(operand.shape),
        // Of indices into what became less.
        ...(operand.integers && operand.high === extent && { high: less }),
      }))
      const part = (sizes(smaller) / sizes(operands)) * factor
      if (part > 0.5 && part < 2) found.push({ ...subject, operands: smaller })
    }
  }
  return found
}
