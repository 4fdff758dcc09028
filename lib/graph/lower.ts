// Lowering: turns a graph into kernel calls on places; decides what is fused, what is stored and where copies go.
import { bytesOf } from '../schema/dtype.js'
import type { Spec } from '../schema/op.js'
import { sizeOf } from '../schema/shape.js'
import type { CellState } from './cell.js'
import { type Expression, placesOf, throughView, weigh } from './expression.js'
import { type Destination, destinationsOf } from './fusion.js'
import { accepts, contiguous, isContiguous, isDense, memoryOrder, orderedStrides } from './layout.js'
import { type Node, reachable, type Value } from './node.js'
import type { Layout } from './op.js'
import { type Lowered, type LoweredStep, type Place, placeNumber, type Stored } from './place.js'
import { fusedStep } from './program.js'
import { lastChecking, schedule } from './schedule.js'

/** What a plan computes: results for the caller and next values for cells. */
export interface Graph {
  readonly outputs: readonly Value[]
  readonly assignments: ReadonlyMap<CellState, Value>
}

/** Instructions so few that repeating them for every element of a larger shape costs less than storing them. */
const CHEAP_WORK = 4
/**
 * Instructions that are cheaper to repeat in further consumers than to store and load; a tanh about breaks even in time
 * and saves the memory, which is what an activation kept for the backward pass costs.
 */
const REPEATED_WORK = 24
/** Bounds of one fused program, so that its registers stay in the nearest cache. */
const PROGRAM_WORK = 600
const PROGRAM_LOADS = 16
/** Values that go out of use with an expression and would be kept for it past other kernels: more are summed up before. */
const WAITING_LOADS = 2

const isStored = (lowered: Stored | Expression): lowered is Stored => 'place' in lowered && !('kind' in lowered)

class Lowering {
  readonly steps: LoweredStep[] = []
  private readonly lowered = new Map<Value, Stored | Expression>()
  private readonly consumers = new Map<Value, Node[]>()
  private readonly cells = new Map<CellState, Place & { kind: 'cell' }>()
  private readonly copies = new Map<string, Stored>()
  private readonly outputPlaces = new Map<Value, Place>()
  /** Whose memory a place of the arena is. */
  private readonly owners = new Map<Place, Value>()
  /** How many kernels come before each node. */
  private readonly kernelsBefore = new Map<Node, number>()
  /** The last node that checks indices for the first time, and its step. */
  private lastChecking: Node | undefined
  private lastCheck = -1
  private readonly kept: ReadonlySet<Value>
  private destinations: ReadonlyMap<Value, Destination | undefined> = new Map()

  constructor(
    private readonly graph: Graph,
    private readonly inputPlace: (value: Value) => Place,
  ) {
    this.kept = new Set([...graph.outputs, ...graph.assignments.values()])
  }

  run(): Lowered {
    const nodes = reachable(this.kept, (value) => value.buffer !== undefined && value.node.leaf === undefined)
    for (const node of nodes) {
      for (const input of new Set(node.inputs)) {
        const users = this.consumers.get(input)
        if (users) users.push(node)
        else this.consumers.set(input, [node])
      }
    }
    this.graph.outputs.forEach((value, position) => {
      const place: Place = { kind: 'output', bytes: bytes(value), position }
      if (!this.outputPlaces.has(value)) this.outputPlaces.set(value, place)
    })
    this.destinations = destinationsOf(nodes, this.consumers, this.kept)
    this.lastChecking = lastChecking(nodes)
    const scheduled = schedule(nodes, this.consumers, this.lastChecking)
    let kernels = 0
    for (const node of scheduled) this.kernelsBefore.set(node, node.op.kind === 'kernel' ? kernels++ : kernels)
    for (const node of scheduled) this.lower(node)
    return this.finish()
  }

  private lower(node: Node): void {
    if (node.outputs.some((output) => this.lowered.has(output))) return
    switch (node.op.kind) {
      case 'leaf':
        return this.lowerLeaf(node)
      case 'view':
        return node.outputs.forEach((output, i) => this.lowerView(node, output, node.inputs[i] as Value))
      case 'kernel':
        return this.lowerKernel(node)
      default:
        return this.lowerElement(node)
    }
  }

  private lowerLeaf(node: Node): void {
    const value = node.output
    const leaf = node.leaf as NonNullable<Node['leaf']>
    if (leaf.kind === 'constant') {
      this.lowered.set(value, { kind: 'constant', dtype: value.dtype, value: leaf.value })
    } else if (leaf.kind === 'cell' && node.trace) {
      this.lowered.set(value, { ...spec(value), ...contiguous(value.shape), place: this.cellPlace(leaf.cell) })
    } else this.lowered.set(value, this.external(value))
  }

  private external(value: Value): Stored {
    return { ...spec(value), ...contiguous(value.shape), place: this.inputPlace(value) }
  }

  private cellPlace(cell: CellState): Place & { kind: 'cell' } {
    let place = this.cells.get(cell)
    if (!place) this.cells.set(cell, (place = { kind: 'cell', bytes: bytes(cell), cell }))
    return place
  }

  private lowerView(node: Node, output: Value, input: Value): void {
    const view = (shape: Spec, layout: Layout) => node.op.view?.(shape, layout, node.params as never)
    const source = this.at(input)
    if (!isStored(source)) {
      const grows = sizeOf(output.shape) > sizeOf(input.shape) && weigh(source).work > CHEAP_WORK
      const seen = grows ? undefined : throughView(source, (walk) => view(input, walk))
      if (seen) {
        this.keep(output, seen, node)
        return
      }
    }
    const stored = this.stored(input)
    const layout = view(input, stored)
    const place = layout ? stored : this.contiguousCopy(input, stored)
    const window = { ...spec(output), place: place.place, ...(layout ?? (view(input, place) as Layout)) }
    this.lowered.set(output, window)
  }

  private lowerElement(node: Node): void {
    const value = node.output
    let expression = this.expressionOf(node)
    const weight = weigh(expression)
    if (weight.loads > PROGRAM_LOADS || weight.work > PROGRAM_WORK) {
      for (const input of node.inputs) if (weigh(this.expressionFor(input)).loads > 1) this.stored(input)
      expression = this.expressionOf(node)
    }
    this.keep(value, expression, node)
  }

  /** Leaves the expression to its consumers where that is cheaper, else stores it. */
  private keep(value: Value, expression: Expression, node: Node): void {
    this.lowered.set(value, expression)
    if (this.kept.has(value) || (expression.kind !== 'constant' && !this.inlinable(value, expression))) {
      this.store(value, expression, node)
    }
  }

  private inlinable(value: Value, expression: Expression): boolean {
    const destination = this.destinations.get(value)
    if (destination === 'memory') {
      const consumers = this.consumersOf(value)
      return consumers.length === 1 && consumers[0]?.op.kind === 'view'
    }
    const { work, loads, reduces } = weigh(expression)
    // A program has one reduction, so uses that meet again can not share this one.
    if (reduces) return this.consumersOf(value).length <= 1
    if (destination !== 'several') return !(destination && this.keepsWaiting(value, expression, destination))
    return loads === 0 || (loads === 1 && work <= REPEATED_WORK)
  }

  /**
   * Whether leaving `value` to a program behind further kernels would keep so many values for it that storing it frees
   * memory: the parts of a gradient that many uses of a weight add to.
   */
  private keepsWaiting(value: Value, expression: Expression, destination: Value): boolean {
    const behind = this.kernelsBefore.get(destination.node) as number
    if (behind === this.kernelsBefore.get(value.node)) return false
    const waiting = [...placesOf(expression)].filter((place) => {
      const owner = this.owners.get(place)
      return owner && this.consumersOf(owner).length === 1 && place.bytes >= bytes(value)
    })
    return waiting.length > WAITING_LOADS
  }

  private consumersOf = (value: Value): readonly Node[] => this.consumers.get(value) ?? []

  /** What a value became; what was computed before is there from the start. */
  private at(value: Value): Stored | Expression {
    let lowered = this.lowered.get(value)
    if (!lowered) this.lowered.set(value, (lowered = this.external(value)))
    return lowered
  }

  private expressionFor(value: Value): Expression {
    const lowered = this.at(value)
    if (!isStored(lowered)) return lowered
    const { place, offset, strides } = lowered
    return { kind: 'load', dtype: value.dtype, place, offset, strides }
  }

  private expressionOf(node: Node): Expression {
    const { op, params, output } = node
    if (op.kind === 'reduction') {
      const input = node.inputs[0] as Value
      if (weigh(this.expressionFor(input)).reduces) this.stored(input)
      const { axes, reduction } = params as { axes: readonly number[]; reduction: 'sum' }
      const argument = this.expressionFor(input)
      return { kind: 'reduce', dtype: output.dtype, reduction, argument, extents: input.shape, axes }
    }
    if (op.opcode === 'iota') {
      const { start, step } = params as { start: number; step: number }
      const strides = contiguous(output.shape).strides.map((stride) => stride * step)
      return { kind: 'iota', dtype: output.dtype, offset: start, strides }
    }
    let reducing = 0
    for (const input of new Set(node.inputs)) {
      if (weigh(this.expressionFor(input)).reduces && ++reducing > 1) this.stored(input)
    }
    const args = node.inputs.map((input) => this.expressionFor(input))
    const immediate = (params as { offset?: number }).offset ?? 0
    return { kind: 'apply', op: op.opcode as NonNullable<typeof op.opcode>, dtype: output.dtype, args, immediate }
  }

  /** The value in memory; computes it now if it was left to its consumers. */
  private stored(value: Value): Stored {
    const lowered = this.at(value)
    return isStored(lowered) ? lowered : this.store(value, lowered, value.node)
  }

  private store(value: Value, expression: Expression, node: Node): Stored {
    const layout = this.kept.has(value) ? contiguous(value.shape) : naturalLayout(expression, value)
    const target: Stored = { ...spec(value), ...layout, place: this.resultPlace(value) }
    this.steps.push(fusedStep(expression, target, labelOf(node)))
    this.lowered.set(value, target)
    return target
  }

  /** The caller's memory where the value is a result, else the arena. */
  private resultPlace(value: Value): Place {
    return this.outputPlaces.get(value) ?? this.arenaPlace(value)
  }

  private arenaPlace(value: Value): Place {
    const place: Place = { kind: 'arena', bytes: bytes(value) }
    this.owners.set(place, value)
    return place
  }

  private contiguousCopy(value: Spec, source: Stored): Stored {
    const key = `${placeNumber(source.place)} ${source.offset} ${source.strides.join()} ${source.shape.join()}`
    const known = this.copies.get(key)
    if (known) return known
    const target: Stored = { ...spec(value), ...contiguous(value.shape), place: { kind: 'arena', bytes: bytes(value) } }
    this.steps.push(fusedStep({ kind: 'load', ...source }, target, 'copy'))
    this.copies.set(key, target)
    return target
  }

  private lowerKernel(node: Node): void {
    const { op, params } = node
    const inputs = node.inputs.map((input, i) => {
      const stored = this.stored(input)
      const wanted = op.accepts?.[Math.min(i, op.accepts.length - 1)] ?? 'contiguous'
      return accepts(wanted, stored, stored.strides) ? stored : this.contiguousCopy(input, stored)
    })
    const orders = op.order?.(
      inputs.map(({ strides, shape }) => memoryOrder(strides, shape)),
      params as never,
    )
    const outputs = node.outputs.map((output, i): Stored => {
      const order = orders?.[i]
      const strides = order && orderedStrides(output.shape, order)
      if (!strides || isContiguous(output.shape, strides)) {
        return { ...spec(output), ...contiguous(output.shape), place: this.resultPlace(output) }
      }
      return { ...spec(output), offset: 0, strides, place: this.arenaPlace(output) }
    })
    if (node === this.lastChecking) this.lastCheck = this.steps.length
    const reuse = op.inPlace?.(params as never)
    const inPlace = outputs.map((_, i) => (reuse && (reuse[i] as number) >= 0 ? [reuse[i] as number] : []))
    this.steps.push({ op: op.name, label: labelOf(node), params, inputs, outputs, inPlace })
    node.outputs.forEach((output, i) => this.lowered.set(output, outputs[i] as Stored))
  }

  /** Copies to the caller what is not in its memory yet, and writes the cells. */
  private finish(): Lowered {
    const outputs = this.graph.outputs.map((value, position) => {
      const stored = this.stored(value)
      if (stored.place.kind === 'output' && stored.place.position === position) return stored
      const place: Place = { kind: 'output', bytes: bytes(value), position }
      return this.copyTo({ ...spec(value), ...contiguous(value.shape), place }, stored)
    })
    const moved = new Map<Place, Place>()
    const writeBack: [Stored, Stored][] = []
    const sources = [...this.graph.assignments.values()].map((value) => this.stored(value).place)
    for (const [cell, value] of this.graph.assignments) {
      const source = this.stored(value)
      const place = this.cellPlace(cell)
      // Its own contents in another order, a transpose say, are another value.
      if (source.place === place && source.offset === 0 && isContiguous(source.shape, source.strides)) continue
      if (moved.has(source.place) || sources.includes(place) || !this.mayBecome(source, place)) {
        writeBack.push([{ ...spec(value), ...contiguous(value.shape), place }, source])
      } else moved.set(source.place, place)
    }
    this.writeBack(writeBack)
    const relocate = (stored: Stored): Stored => ({ ...stored, place: moved.get(stored.place) ?? stored.place })
    const steps = this.steps.map((step) => ({
      ...step,
      inputs: step.inputs.map(relocate),
      outputs: step.outputs.map(relocate),
    }))
    return { steps, outputs }
  }

  /** Assignments commit together: a cell that is still a source of another one is copied aside first. */
  private writeBack(pairs: readonly [Stored, Stored][]): void {
    const targets = new Set(pairs.map(([target]) => target.place))
    const sources = pairs.map(([target, source]) => {
      if (!targets.has(source.place)) return source
      return this.copyTo(
        { ...spec(target), ...contiguous(target.shape), place: { kind: 'arena', bytes: target.place.bytes } },
        source,
      )
    })
    pairs.forEach(([target], i) => this.copyTo(target, sources[i] as Stored))
  }

  private copyTo(target: Stored, source: Stored): Stored {
    this.steps.push(fusedStep({ kind: 'load', ...source }, target, 'copy'))
    return target
  }

  /**
   * Whether the arena value `source` may be computed in the cell's memory, because nothing reads the old contents later
   * and no index is first checked later: a run that fails by one has written no cell.
   */
  private mayBecome(source: Stored, cell: Place): boolean {
    if (source.place.kind !== 'arena' || source.offset !== 0 || source.place.bytes !== cell.bytes) return false
    if (!isContiguous(source.shape, source.strides)) return false
    const defining = this.steps.findIndex(({ outputs }) => outputs.some(({ place }) => place === source.place))
    if (defining < this.lastCheck) return false
    const step = this.steps[defining] as LoweredStep
    const output = step.outputs.findIndex(({ place }) => place === source.place)
    const readsInStep = step.inputs.flatMap(({ place }, i) => (place === cell ? [i] : []))
    if (!readsInStep.every((i) => step.inPlace[output]?.includes(i))) return false
    return this.steps.slice(defining + 1).every(({ inputs }) => inputs.every(({ place }) => place !== cell))
  }
}

const spec = ({ dtype, shape }: Spec): Spec => ({ dtype, shape })
const bytes = ({ dtype, shape }: Spec): number => sizeOf(shape) * bytesOf(dtype)
const labelOf = ({ op, outputs }: Node): string =>
  `${op.name} -> ${outputs.map(({ shape, dtype }) => `${dtype}[${shape}]`).join(' ')}`

/** The layout of the load that touches most, so that a program runs along memory; row-major where none decides. */
function naturalLayout(expression: Expression, value: Spec): Layout {
  let best: readonly number[] | undefined
  const visit = (part: Expression): void => {
    if (part.kind === 'apply') part.args.forEach(visit)
    else if (part.kind === 'load' && !best && isDense(value.shape, part.strides)) best = part.strides
  }
  visit(expression)
  if (!best || best.length !== value.shape.length) return contiguous(value.shape)
  return { offset: 0, strides: orderedStrides(value.shape, memoryOrder(best, value.shape)) }
}

/** Lowers a graph; `inputPlace` tells where the data of a leaf (or an already computed value) comes from. */
export function lower(graph: Graph, inputPlace: (value: Value) => Place): Lowered {
  return new Lowering(graph, inputPlace).run()
}
