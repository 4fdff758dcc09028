// What an ONNX file holds, without its elements: inputs, outputs, how often each operator, the tensors (onnx.proto3).
import { sizeOf } from '../schema/shape.js'
import { openToRead } from './positioned.js'
import { type Field, ProtobufFile } from './protobuf.js'

/** An input or output; an extent that is not fixed is a name, or '?'. */
export interface OnnxValue {
  readonly name: string
  /** heddle's name of the dtype where it has one, else ONNX's; `sequence`, `optional` or `map` for what is no tensor. */
  readonly dtype: string
  readonly shape: readonly (number | string)[]
}

export interface OnnxTensor {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly number[]
  /** Bytes of its elements. */
  readonly bytes: number
  /** The file beside it that has them; '' where this one does. */
  readonly external: string
}

export interface OnnxModel {
  readonly path: string
  readonly irVersion: number
  readonly producer: string
  readonly graph: string
  /** The version of each operator set; '' is ONNX's own. */
  readonly opsets: Readonly<Record<string, number>>
  readonly metadata: Readonly<Record<string, string>>
  /** Without those that are initialised. */
  readonly inputs: readonly OnnxValue[]
  readonly outputs: readonly OnnxValue[]
  /** How often each operator stands in the graph and in graphs within it, the most frequent first. */
  readonly operators: readonly (readonly [name: string, count: number])[]
  readonly initializers: readonly OnnxTensor[]
}

/** By number: TensorProto.DataType, and bits of an element. */
const DTYPES: readonly (readonly [name: string, bits: number])[] = [
  ['undefined', 0],
  ['f32', 32],
  ['u8', 8],
  ['i8', 8],
  ['uint16', 16],
  ['int16', 16],
  ['i32', 32],
  ['i64', 64],
  ['string', 0],
  ['bool', 8],
  ['f16', 16],
  ['f64', 64],
  ['uint32', 32],
  ['uint64', 64],
  ['complex64', 64],
  ['complex128', 128],
  ['bf16', 16],
  ['float8e4m3fn', 8],
  ['float8e4m3fnuz', 8],
  ['float8e5m2', 8],
  ['float8e5m2fnuz', 8],
  ['uint4', 4],
  ['int4', 4],
  ['float4e2m1', 4],
]

/** Graphs within graphs, in branches and loops. */
const DEEPEST = 64
/** What is kept of names; a file with more is not read to its end. */
const MOST_ENTRIES = 2_000_000
const MOST_AXES = 1024

const dtypeName = (number: bigint): string => DTYPES[Number(number)]?.[0] ?? `type ${number}`

class Reader {
  readonly operators = new Map<string, number>()
  private entries = 0

  constructor(private readonly file: ProtobufFile) {}

  private count(field: Field): void {
    if (++this.entries > MOST_ENTRIES) throw this.file.damaged(field.start, `it has more than ${MOST_ENTRIES} entries`)
  }

  /** The fields of a message field. */
  private within(field: Field): AsyncGenerator<Field> {
    if (field.kind !== 'bytes') throw this.file.damaged(field.start, `field ${field.number} is no message`)
    this.count(field)
    return this.file.fields(field.start, field.end)
  }

  async model(path: string): Promise<OnnxModel> {
    const { file } = this
    let [irVersion, producer] = [0, '']
    let graph: Awaited<ReturnType<Reader['graph']>> | undefined
    const opsets: Record<string, number> = Object.create(null) as Record<string, number>
    const metadata: Record<string, string> = Object.create(null) as Record<string, string>
    for await (const field of file.fields(0, file.size)) {
      if (field.number === 1) irVersion = Number(field.value)
      else if (field.number === 2) producer = `${await file.text(field)}${producer && ` ${producer}`}`
      else if (field.number === 3) producer = `${producer && `${producer} `}${await file.text(field)}`
      else if (field.number === 7) graph = await this.graph(field, 0)
      else if (field.number === 8) {
        let [domain, version] = ['', 0]
        for await (const part of this.within(field))
          if (part.number === 1) domain = await file.text(part)
          else if (part.number === 2) version = Number(part.value)
        opsets[domain] = version
      } else if (field.number === 14) Object.assign(metadata, await this.entry(field))
    }
    if (!graph) throw file.damaged(0, 'it is no ONNX model: it has no graph')
    const initialised = new Set(graph.initializers.map(({ name }) => name))
    return {
      path,
      irVersion,
      producer,
      graph: graph.name,
      opsets,
      metadata,
      inputs: graph.inputs.filter(({ name }) => !initialised.has(name)),
      outputs: graph.outputs,
      operators: [...this.operators].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)),
      initializers: graph.initializers,
    }
  }

  private async entry(field: Field): Promise<Record<string, string>> {
    let [key, value] = ['', '']
    for await (const part of this.within(field))
      if (part.number === 1) key = await this.file.text(part)
      else if (part.number === 2) value = await this.file.text(part)
    return { [key]: value }
  }

  private async graph(field: Field, depth: number) {
    if (depth > DEEPEST) throw this.file.damaged(field.start, `graphs lie more than ${DEEPEST} deep in one another`)
    let name = ''
    const [inputs, outputs]: [OnnxValue[], OnnxValue[]] = [[], []]
    const initializers: OnnxTensor[] = []
    for await (const part of this.within(field)) {
      if (part.number === 1) await this.node(part, depth)
      else if (part.number === 2) name = await this.file.text(part)
      else if (part.number === 5) initializers.push(await this.tensor(part))
      else if (part.number === 11) inputs.push(await this.value(part))
      else if (part.number === 12) outputs.push(await this.value(part))
    }
    return { name, inputs, outputs, initializers }
  }

  private async node(field: Field, depth: number): Promise<void> {
    let [operator, domain] = ['', '']
    for await (const part of this.within(field)) {
      if (part.number === 4) operator = await this.file.text(part)
      else if (part.number === 7) domain = await this.file.text(part)
      else if (part.number === 5)
        for await (const attribute of this.within(part))
          if (attribute.number === 6 || attribute.number === 11) await this.graph(attribute, depth + 1)
    }
    const key = domain === '' || domain === 'ai.onnx' ? operator : `${domain}.${operator}`
    this.operators.set(key, (this.operators.get(key) ?? 0) + 1)
  }

  private async tensor(field: Field): Promise<OnnxTensor> {
    const { file } = this
    const shape: number[] = []
    let [name, type, external] = ['', 0n, '']
    for await (const part of this.within(field)) {
      if (part.number === 1)
        for await (const extent of file.integers(part)) {
          if (extent < 0n || extent > BigInt(Number.MAX_SAFE_INTEGER) || shape.length >= MOST_AXES)
            throw file.damaged(part.start, `a tensor's extent is ${extent}`)
          shape.push(Number(extent))
        }
      else if (part.number === 2) type = part.value
      else if (part.number === 8) name = await file.text(part)
      else if (part.number === 13) external = (await this.entry(part))['location'] ?? external
    }
    const size = sizeOf(shape)
    if (!Number.isSafeInteger(size)) throw file.damaged(field.start, `a tensor [${shape}] has too many elements`)
    const bytes = Math.ceil((size * (DTYPES[Number(type)]?.[1] ?? 0)) / 8)
    return { name, dtype: dtypeName(type), shape, bytes, external }
  }

  private async value(field: Field): Promise<OnnxValue> {
    let name = ''
    let told: Omit<OnnxValue, 'name'> = { dtype: 'unknown', shape: [] }
    for await (const part of this.within(field))
      if (part.number === 1) name = await this.file.text(part)
      else if (part.number === 2) told = await this.type(part)
    return { name, ...told }
  }

  private async type(field: Field): Promise<Omit<OnnxValue, 'name'>> {
    const others: Readonly<Record<number, string>> = { 4: 'sequence', 5: 'map', 8: 'sparse tensor', 9: 'optional' }
    for await (const part of this.within(field)) {
      if (part.number !== 1) {
        if (others[part.number]) return { dtype: others[part.number] as string, shape: [] }
        continue
      }
      let dtype = 'unknown'
      const shape: (number | string)[] = []
      for await (const of of this.within(part)) {
        if (of.number === 1) dtype = dtypeName(of.value)
        else if (of.number === 2)
          for await (const axis of this.within(of)) {
            if (axis.number !== 1) continue
            if (shape.length >= MOST_AXES) throw this.file.damaged(axis.start, 'a value has too many axes')
            shape.push(await this.extent(axis))
          }
      }
      return { dtype, shape }
    }
    return { dtype: 'unknown', shape: [] }
  }

  private async extent(field: Field): Promise<number | string> {
    let extent: number | string = '?'
    for await (const part of this.within(field))
      if (part.number === 1) extent = Number(BigInt.asIntN(64, part.value))
      else if (part.number === 2) extent = (await this.file.text(part)) || '?'
    return extent
  }
}

/**
 * Reads the structure of an ONNX file; elements are passed over, and files beside it are not opened. Throws
 * `FormatError` for what is no ONNX, or damaged.
 */
export async function readOnnx(path: string): Promise<OnnxModel> {
  await using handle = await openToRead(path)
  const { size } = await handle.stat()
  return await new Reader(new ProtobufFile(handle, path, size)).model(path)
}
