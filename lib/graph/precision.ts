// The precision ops are recorded in: a policy that holds while a function runs.
import type { FloatDType } from '../schema/dtype.js'

let current: FloatDType | undefined

/** The dtype that products are computed in while mixed precision holds; undefined while it does not. */
export const currentPrecision = (): FloatDType | undefined => current

/** Runs `fn` under a policy, or under none. */
export function withPrecision<T>(precision: FloatDType | undefined, fn: () => T): T {
  const outer = current
  current = precision
  try {
    return fn()
  } finally {
    current = outer
  }
}
