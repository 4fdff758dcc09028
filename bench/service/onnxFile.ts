// The same model with the same weights as an ONNX file: protobuf by hand, as onnx.proto of IR version 8 has the fields.
import { CHANNELS, CLASSES, type Classifier, EXTENT } from './model.js'

const OPSET = 17
const FLOAT = 1

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  return Buffer.from([...bytes, rest])
}

/** A number in a field of a message, and bytes, text or a message in one. */
const number = (field: number, value: number): Buffer => Buffer.concat([varint(field * 8), varint(value)])
const bytes = (field: number, value: Buffer | string): Buffer => {
  const content = Buffer.from(value as string)
  return Buffer.concat([varint(field * 8 + 2), varint(content.length), content])
}
const message = (field: number, ...parts: readonly Buffer[]): Buffer => bytes(field, Buffer.concat(parts))

const integer = (name: string, value: number): Buffer => message(5, bytes(1, name), number(3, value), number(20, 2))
const integers = (name: string, values: readonly number[]): Buffer =>
  message(5, bytes(1, name), ...values.map((value) => number(8, value)), number(20, 7))

const node = (kind: string, inputs: readonly string[], output: string, ...attributes: readonly Buffer[]): Buffer =>
  message(1, ...inputs.map((name) => bytes(1, name)), bytes(2, output), bytes(3, output), bytes(4, kind), ...attributes)

function value(field: number, name: string, shape: readonly (number | string)[]): Buffer {
  const extents = shape.map((extent) => message(1, typeof extent === 'number' ? number(1, extent) : bytes(2, extent)))
  return message(field, bytes(1, name), message(2, message(1, number(1, FLOAT), message(2, ...extents))))
}

/** The model as the bytes of a file: `pictures` f32[batch,3,32,32] -> `logits` f32[batch,10]. */
export async function onnxModel(model: Classifier): Promise<Buffer> {
  const initializers = Object.entries(await model.stateDict()).map(([name, { data, shape }]) =>
    message(
      5,
      ...shape.map((extent) => number(1, extent)),
      number(2, FLOAT),
      bytes(8, name),
      bytes(9, Buffer.from(data.buffer, data.byteOffset, data.byteLength)),
    ),
  )
  const convolutions = model.layouts.flatMap(({ stride }, i) => [
    node(
      'Conv',
      [i === 0 ? 'pictures' : `relu${i - 1}`, `convolutions.${i}.weight`, `convolutions.${i}.bias`],
      `convolution${i}`,
      integers('kernel_shape', [3, 3]),
      integers('pads', [1, 1, 1, 1]),
      integers('strides', [stride, stride]),
    ),
    node('Relu', [`convolution${i}`], `relu${i}`),
  ])
  const graph = message(
    7,
    ...convolutions,
    node('GlobalAveragePool', [`relu${model.layouts.length - 1}`], 'means'),
    node('Flatten', ['means'], 'features', integer('axis', 1)),
    node('Gemm', ['features', 'head.weight', 'head.bias'], 'logits', integer('transB', 1)),
    bytes(2, 'classifier'),
    ...initializers,
    value(11, 'pictures', ['batch', CHANNELS, EXTENT, EXTENT]),
    value(12, 'logits', ['batch', CLASSES]),
  )
  return Buffer.concat([number(1, 8), bytes(2, 'heddle'), graph, message(8, bytes(1, ''), number(2, OPSET))])
}
