// What a model gives for a batch: a tensor, or lists and objects of tensors; and its tensors by name.
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { Tensor } from '../tensor.js'

/** A tensor, or lists and plain objects of tensors. */
export type Outputs = Tensor | readonly Outputs[] | { readonly [name: string]: Outputs | undefined }

/** Every tensor with its dotted name; of a single tensor the name is empty. Throws `ArgumentError` for anything else. */
export function namedOutputs(op: string, outputs: unknown, prefix = ''): (readonly [string, Tensor])[] {
  if (outputs instanceof Tensor) return [[prefix, outputs]]
  if (typeof outputs !== 'object' || outputs === null)
    throw new ArgumentError(`${op}: forward gave ${describe(outputs)}${prefix && ` as '${prefix}'`}, not tensors`)
  const inner = Object.entries(outputs).filter(([, value]) => value !== undefined)
  return inner.flatMap(([name, value]) => namedOutputs(op, value, prefix === '' ? name : `${prefix}.${name}`))
}

interface Branches<V> {
  [name: string]: V | Branches<V>
}

/** The reverse of `namedOutputs`, lists as objects by position. */
export function nested<V>(named: readonly (readonly [string, V])[]): V | Branches<V> {
  const [first] = named
  if (named.length === 1 && first?.[0] === '') return first[1]
  const root: Branches<V> = {}
  for (const [name, value] of named) {
    const path = name.split('.')
    let place = root
    for (const part of path.slice(0, -1)) place = (place[part] ??= {}) as Branches<V>
    place[path.at(-1) as string] = value
  }
  return root
}

/** The logits among outputs: the outputs themselves, or what is called so. Throws `ArgumentError` where there are none. */
export function logitsOf(op: string, outputs: Outputs): Tensor {
  if (outputs instanceof Tensor) return outputs
  const logits = (outputs as { readonly logits?: unknown } | undefined)?.logits
  if (logits instanceof Tensor) return logits
  throw new ArgumentError(`${op}: forward gives neither logits nor { logits, ... }; say what is compared: loss`)
}
