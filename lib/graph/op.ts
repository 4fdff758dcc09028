// The op as the graph sees it: schema, shape rule, gradient rule, and how lowering treats it.
import { OP_NAMES } from '../schema/hash.gen.js'
import type { OpSchema, ParamSchema, Params, Spec, Strides } from '../schema/op.js'
import type { Opcode } from '../schema/program.js'
import type { Shape } from '../schema/shape.js'
import type { Node, Value } from './node.js'

export type AnyParams = Readonly<Record<string, unknown>>

/**
 * Gradient rule on graph values: the cotangent of each output (undefined where nothing flows) gives one of each input
 * (undefined where nothing flows back).
 */
export type GradientRule = (node: Node, cotangents: readonly (Value | undefined)[]) => readonly (Value | undefined)[]

/** A tensor's place in memory, relative to the storage it is a window on; strides in elements. */
export interface Layout {
  readonly offset: number
  readonly strides: readonly number[]
}

/**
 * How lowering treats an op:
 * - `leaf`: there already (data, a constant, an input, a cell's value).
 * - `view`: another window on its input; `view` gives the layout, or undefined where these strides allow none.
 * - `element`: one instruction of a fused program.
 * - `reduction`: a fused program's `reduce`, over the axes in the parameter `axes`.
 * - `kernel`: a step of its own.
 */
export type OpKind = 'leaf' | 'view' | 'element' | 'reduction' | 'kernel'

export interface Op<P extends ParamSchema = ParamSchema> extends OpSchema<P> {
  readonly kind: OpKind
  /** Shapes and dtypes of the outputs; throws a typed error, in words, where the inputs do not fit. */
  infer(inputs: readonly Spec[], params: Params<P>): readonly Spec[]
  /** Undefined: the op has no gradient. */
  readonly gradient: GradientRule | undefined
  /** For views: the layout of the result, given the input's. */
  view?(input: Spec, layout: Layout, params: Params<P>): Layout | undefined
  /** For elements: the instruction and its immediates. */
  readonly opcode?: Opcode
  /** For kernels: the strides each operand may have; one entry stands for all. */
  readonly accepts?: readonly Strides[]
  /** For kernels: the order of axes in memory, outermost first, of each output, given those of the inputs. */
  order?(inputs: readonly (readonly number[])[], params: Params<P>): readonly (readonly number[] | undefined)[]
  /** For kernels: for each output, the input whose memory it may overwrite (-1: none). */
  inPlace?(params: Params<P>): readonly number[]
  /**
   * For kernels that do the same to many tensors at once: how many scalar operands come before the groups of `count`
   * tensors each (`count` is a parameter); the results are groups of `count` too.
   */
  leadingScalars?(params: Params<P>): number
  /** For kernels that fail where an index is out of range: the operand with the indices, and what may be there, in words. */
  checks?(inputs: readonly Spec[], params: Params<P>): readonly [operand: number, range: string]
  /** For kernels: the flag among the parameters that says whether the last result is made. */
  readonly lastResult?: keyof P & string
  /** Draws at random or has identity: equal nodes are different values. */
  readonly unique?: boolean
}

/** Every op with a native kernel, by name: what the schema is generated from. */
const registry = new Map<string, Op>()

export function registerOp(op: Op): void {
  if (registry.has(op.name)) throw new Error(`defineOp: '${op.name}' is defined twice`)
  registry.set(op.name, op)
}

/** Every op with a native kernel, in the order of the native enumeration. */
export function kernelOps(): readonly Op[] {
  return [...registry.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}

const ids = new Map(OP_NAMES.map((name, id) => [name, id]))

/** The op's number in a plan: that of the native enumeration, whichever ops a program has imported. */
export function opId(name: string): number {
  const id = ids.get(name)
  if (id === undefined) throw new Error(`op '${name}' has no kernel`)
  return id
}

export type { Shape }
