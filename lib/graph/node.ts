// Nodes and values: the immutable graph everything is recorded in. Equal nodes are one node.
import type { Buffer } from '../runtime/buffer.js'
import type { Device } from '../runtime/device.js'
import { DeviceError, TraceError } from '../runtime/errors.js'
import { type DType, isFloat } from '../schema/dtype.js'
import type { Spec } from '../schema/op.js'
import type { Shape } from '../schema/shape.js'
import type { CellState } from './cell.js'
import type { AnyParams, Op } from './op.js'
import { currentTrace, type Trace } from './trace.js'

let created = 0

/** The number of the node made last: what is made later has a larger one. */
export const latestNode = (): number => created

/** What a leaf stands for. */
export type Leaf =
  | { readonly kind: 'data' }
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'input'; readonly position: number }
  | { readonly kind: 'cell'; readonly cell: CellState; readonly version: number }

/** One result of a node. */
export class Value implements Spec {
  /** Where the data is, once it has been computed outside a trace. */
  buffer: Buffer | undefined
  /** Nodes made from this value and older ones, so that an equal one is found; weak, so that it keeps nothing alive. */
  uses: Map<string, WeakRef<Node>> | undefined
  /** Tensors a user holds of it, and nodes that were made from it and have not been computed. */
  handles = 0
  pendingUsers = 0

  constructor(
    readonly node: Node,
    readonly index: number,
    readonly dtype: DType,
    readonly shape: Shape,
  ) {}

  /** Frees the data if nobody can ask for it any more. A cell's data is the cell's. */
  freeIfUnused(): void {
    const { leaf } = this.node
    if (this.handles > 0 || this.pendingUsers > 0) return
    if (leaf?.kind === 'cell' && leaf.cell.buffer === this.buffer) return
    this.buffer?.free()
  }
}

/** An op applied to values. */
export class Node {
  readonly id = ++created
  readonly outputs: readonly Value[]

  constructor(
    readonly op: Op,
    readonly params: AnyParams,
    public inputs: readonly Value[],
    specs: readonly Spec[],
    /** Undefined for constants: they are on every device. */
    readonly device: Device | undefined,
    /** The trace it was recorded in; undefined outside. */
    readonly trace: Trace | undefined,
    readonly leaf?: Leaf,
    /** Nodes of different regions are never shared: a checkpoint's recomputation is one. */
    readonly region = 0,
  ) {
    this.outputs = specs.map((spec, index) => new Value(this, index, spec.dtype, spec.shape))
    this.tracked = leaf?.kind === 'cell' ? leaf.cell.trainable : inputs.some(({ node }) => node.tracked)
    if (!trace?.borrows) for (const input of inputs) if (!trace || input.node.trace !== trace) input.pendingUsers++
  }

  /** Whether a trainable cell is behind it, so that a gradient may be asked for even after it has been computed. */
  readonly tracked: boolean

  get output(): Value {
    return this.outputs[0] as Value
  }

  /** Once all its outputs have data, a node that no gradient can be asked of lets go of its inputs. */
  release(): void {
    if (!this.tracked) this.letGo()
  }

  /** The same for one whose outputs nobody will ask a gradient through. */
  letGo(): void {
    if (this.inputs.length === 0 || !this.outputs.every(({ buffer }) => buffer)) return
    const inputs = this.inputs
    this.inputs = []
    for (const input of inputs) {
      input.pendingUsers--
      input.freeIfUnused()
    }
  }
}

const leafOp = (name: string): Op => ({
  name,
  kind: 'leaf',
  params: {},
  infer: () => [],
  gradient: undefined,
  unique: true,
})

const DATA = leafOp('data')
const CONSTANT = leafOp('constant')
const INPUT = leafOp('input')
const CELL = leafOp('cell')

/** A value whose data is in `buffer`, row-major. */
export function dataLeaf(buffer: Buffer, spec: Spec): Value {
  const value = new Node(DATA, {}, [], [spec], buffer.device, undefined, { kind: 'data' }).output
  value.buffer = buffer
  return value
}

/** Made by `make` the first time a trace asks for what `key` names; equal ones are one value, and so is what is made of them. */
function sharedLeaf(key: string, make: () => Value): Value {
  const trace = currentTrace()
  if (!trace) return make()
  let known = trace.shared.get(key)
  if (!known) trace.shared.set(key, (known = make()))
  return known
}

/**
 * A value that is `value` everywhere; it takes no memory until it must. Two floats of a user's are two values, since a gradient
 * may be asked for one of them; those that ops bring along, and integers, are `shared`.
 */
export function constantLeaf(value: number, spec: Spec, shared = !isFloat(spec.dtype)): Value {
  const make = (): Value =>
    new Node(CONSTANT, {}, [], [spec], undefined, currentTrace(), { kind: 'constant', value }).output
  if (!shared) return make()
  return sharedLeaf(`${Object.is(value, -0) ? '-0' : value} ${spec.dtype} ${spec.shape.join()}`, make)
}

/** The `position`-th input of a traced function. */
export function inputLeaf(position: number, spec: Spec, device: Device, trace: Trace): Value {
  return new Node(INPUT, {}, [], [spec], device, trace, { kind: 'input', position }).output
}

/** What a cell holds at one version. */
export function cellLeaf(cell: CellState, version: number, trace: Trace | undefined): Value {
  return new Node(CELL, {}, [], [cell], cell.device, trace, { kind: 'cell', cell, version }).output
}

function commonDevice(op: Op, inputs: readonly Value[]): Device | undefined {
  let found: Device | undefined
  for (const { node } of inputs) {
    if (!node.device) continue
    if (found && found !== node.device) {
      throw new DeviceError(
        `${op.name}: its operands are on different devices, ${found} and ${node.device}; make them on one`,
      )
    }
    found = node.device
  }
  return found
}

function checkTrace(op: Op, inputs: readonly Value[], trace: Trace | undefined): void {
  if (trace?.borrows) return
  for (const { node } of inputs) {
    if (node.trace && node.trace !== trace) {
      throw new TraceError(
        `${op.name}: an operand was recorded inside a compiled function and has no value outside it; return it from that function`,
      )
    }
  }
}

/**
 * Applies an op. The shape rule runs at once, so errors are thrown where the user's line is; nothing is computed.
 * An equal node that is still alive and has its history is returned instead of a new one; it is kept with the youngest input, so looking it
 * up extends no lifetime.
 */
export function apply(op: Op, params: AnyParams, inputs: readonly Value[], region = 0): Node {
  const trace = currentTrace()
  checkTrace(op, inputs, trace)
  const specs = op.infer(inputs, params as never)
  const device = commonDevice(op, inputs)
  const make = (): Node => new Node(op, params, inputs, specs, device, trace, undefined, region)
  if (op.unique) return make()
  if (inputs.length === 0) return sharedLeaf(`${op.name} ${region} ${JSON.stringify(params)}`, () => make().output).node
  const youngest = inputs.reduce((a, b) => (b.node.id > a.node.id ? b : a))
  const operands = inputs.map(({ node, index }) => `${node.id}.${index}`)
  const key = `${op.name} ${region} ${operands.join(' ')} ${JSON.stringify(params)}`
  youngest.uses ??= new Map()
  const known = youngest.uses.get(key)?.deref()
  // One that let go of its inputs has no gradient any more; the new one does.
  if (known && known.trace === trace && known.inputs.length > 0) return known
  const node = make()
  youngest.uses.set(key, new WeakRef(node))
  return node
}

/** Every node that `roots` depend on and themselves, inputs before users, in the order they were made. */
export function reachable(roots: Iterable<Value>, stop: (value: Value) => boolean = () => false): Node[] {
  const seen = new Set<Node>()
  const stack: Node[] = []
  for (const root of roots) if (!stop(root)) stack.push(root.node)
  while (stack.length > 0) {
    const node = stack.pop() as Node
    if (seen.has(node)) continue
    seen.add(node)
    for (const input of node.inputs) if (!stop(input)) stack.push(input.node)
  }
  return [...seen].sort((a, b) => a.id - b.id)
}
