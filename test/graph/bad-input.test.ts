// Bad input: typed errors where the mistake is, before anything runs.
import { describe, expect, it } from 'vitest'
import * as h from '../../lib/index.js'

const i32 = (...indices: number[]): h.Tensor => h.tensor(indices, { dtype: 'i32' })
const matrix = (): h.Tensor =>
  h.tensor([
    [1, 2],
    [3, 4],
  ])

function disposed(): h.Tensor {
  const x = h.tensor([1])
  x.dispose()
  return x
}

function detached(): Float32Array {
  const array = new Float32Array(4)
  structuredClone(array.buffer, { transfer: [array.buffer] })
  return array
}

describe('every function', () => {
  const functions = Object.entries(h).filter(([name, value]) => typeof value === 'function' && !/^[A-Z]/.test(name))
  const operands: readonly (readonly [string, () => unknown[]])[] = [
    ['nothing', () => []],
    ...[
      null,
      undefined,
      'x',
      5n,
      Number.NaN,
      Symbol('s'),
      {},
      Object.create(null),
      () => 1,
      [[null]],
      [Symbol('s')],
    ].map((value) => [typeof value === 'object' ? JSON.stringify(value) : String(value), () => [value]] as const),
    ['a disposed tensor', () => [disposed()]],
    ...[null, 'x', 5n, Number.NaN, 2 ** 60, {}, [Number.NaN], [null], Object.create(null)].flatMap((value) => [
      [`a tensor and ${JSON.stringify(typeof value === 'bigint' ? '5n' : value)}`, () => [matrix(), value]] as const,
      [
        `two tensors and ${JSON.stringify(typeof value === 'bigint' ? '5n' : value)}`,
        () => [matrix(), matrix(), value],
      ] as const,
      [
        `three tensors and ${JSON.stringify(typeof value === 'bigint' ? '5n' : value)}`,
        () => [matrix(), matrix(), matrix(), value],
      ] as const,
    ]),
    ['a tensor and a disposed one', () => [matrix(), disposed()]],
  ]

  it.each(functions)('%s throws typed errors only', async (_, call) => {
    for (const [what, make] of operands) {
      try {
        const result: unknown = (call as (...args: unknown[]) => unknown)(...make())
        if (result instanceof h.Tensor) await result.data()
        else if (result instanceof Promise) await result
      } catch (error) {
        if (!(error instanceof h.HeddleError) || error instanceof h.InternalError)
          expect.fail(`given ${what}: ${String(error)}`)
        expect(error.message).toMatch(/^[A-Za-z0-9]+: \S|^out of memory: /)
      }
    }
  })
})

type Row = readonly [name: string, call: () => unknown, error: new (...args: never[]) => Error, message: RegExp]

const ROWS: readonly Row[] = [
  [
    'ragged arrays',
    () => h.tensor([[1, 2], [3]]),
    h.ShapeError,
    /tensor: the nested arrays are ragged: one part has shape \[2\], another \[1\]/,
  ],
  ['nesting of two depths', () => h.tensor([[1], 2]), h.ShapeError, /tensor: the nested arrays are ragged/],
  [
    'null among numbers',
    () => h.tensor([1, null as never]),
    h.ArgumentError,
    /tensor: null is no number, boolean or bigint/,
  ],
  ['an object among numbers', () => h.tensor([new Map() as never]), h.ArgumentError, /tensor: a Map is no number/],
  ['a string', () => h.tensor('12' as never), h.ArgumentError, /tensor: string '12' is no number/],
  [
    'a shape of another size',
    () => h.tensor([1, 2, 3], { shape: [2, 2] }),
    h.ShapeError,
    /tensor: 3 elements do not fill the shape \[2,2\], which takes 4/,
  ],
  [
    'a negative extent',
    () => h.tensor([1], { shape: [-1] }),
    h.ShapeError,
    /tensor: the shape \[-1\] has the extent -1/,
  ],
  [
    'a shape that is a number',
    () => h.tensor([1], { shape: 1 as never }),
    h.ShapeError,
    /tensor: the shape must be a list of extents, not number 1/,
  ],
  [
    'an unknown dtype',
    () => h.tensor([1], { dtype: 'float32' as never }),
    h.DTypeError,
    /tensor: there is no dtype 'float32'/,
  ],
  [
    'a fraction as an integer',
    () => h.tensor([1.5], { dtype: 'i32' }),
    h.DTypeError,
    /tensor: 1.5 at position 0 does not fit i32/,
  ],
  [
    'NaN as an integer',
    () => h.tensor([0, Number.NaN], { dtype: 'u8' }),
    h.DTypeError,
    /tensor: NaN at position 1 does not fit u8/,
  ],
  [
    'a number out of range',
    () => h.tensor([128], { dtype: 'i8' }),
    h.DTypeError,
    /tensor: 128 at position 0 does not fit i8/,
  ],
  ['a fraction as i64', () => h.tensor([0.5], { dtype: 'i64' }), h.DTypeError, /tensor: 0.5 at position 0 is no i64/],
  [
    'a bigint out of range',
    () => h.tensor([2n ** 63n], { dtype: 'i64' }),
    h.DTypeError,
    /tensor: 9223372036854775808 at position 0 does not fit i64/,
  ],
  ['a detached array', () => h.tensor(detached()), h.ArgumentError, /tensor: the data's ArrayBuffer is detached/],
  ['a detached array with a shape', () => h.tensor(detached(), { shape: [4] }), h.HeddleError, /detached|do not fill/],
  [
    'a DataView',
    () => h.tensor(new DataView(new ArrayBuffer(4)), { dtype: 'f32' }),
    h.DTypeError,
    /tensor: a DataView has no elements/,
  ],
  [
    'an array without a dtype of its own',
    () => h.tensor(new Uint16Array(2)),
    h.DTypeError,
    /tensor: a Uint16Array has no dtype of its own/,
  ],
  [
    'an unknown device',
    () => h.tensor([1], { device: 'gpu' }),
    h.DeviceError,
    /device: there is no device 'gpu'; devices are called cpu, cuda/,
  ],
  ['no device', () => h.tensor([1], { device: null as never }), h.DeviceError, /device: there is no device null/],
  [
    'a default device that is none',
    () => h.setDefaultDevice(undefined as never),
    h.DeviceError,
    /device: there is no device undefined/,
  ],
  [
    'no threads',
    () => h.defaultDevice().setThreads(0),
    h.ArgumentError,
    /setThreads: it takes an integer from 1 up, not number 0/,
  ],
  [
    'a limit that is NaN',
    () => h.defaultDevice().setMemoryLimit(Number.NaN),
    h.ArgumentError,
    /setMemoryLimit: .* not number NaN/,
  ],
  [
    'a tensor larger than can be addressed',
    () => h.zeros([2 ** 40, 2 ** 40]),
    h.ShapeError,
    /full: the shape \[1099511627776,1099511627776\] has more elements/,
  ],
  ['a step of 0', () => h.arange(0, 5, 0), h.ArgumentError, /arange: the step must not be 0/],
  [
    'an end that is infinite',
    () => h.arange(Number.POSITIVE_INFINITY),
    h.ArgumentError,
    /arange: end must be a number finite, not Infinity/,
  ],
  ['an identity of no whole extent', () => h.eye(2.5), h.ShapeError, /eye: the shape \[2.5,2.5\]/],
  ['a cast to no dtype', () => h.cast(matrix(), 'int' as never), h.DTypeError, /cast: there is no dtype 'int'/],
  ['use after dispose', () => disposed().add(1), h.DisposedError, /tensor: it was used after dispose\(\)/],
  ['the shape of a disposed tensor', () => disposed().shape, h.DisposedError, /after dispose/],
  ['a cell of no tensor', () => new h.Cell(3 as never), h.ArgumentError, /cell: it starts from a tensor, not number 3/],
  ['a parameter of a disposed tensor', () => new h.Parameter(disposed()), h.DisposedError, /after dispose/],
  [
    'an assignment of another shape',
    () => new h.Cell(matrix(), { name: 'weight' }).assign(h.tensor([1, 2])),
    h.ShapeError,
    /assign: weight has shape \[2,2\], the value \[2\]/,
  ],
  [
    'an assignment of another dtype',
    () => new h.Cell(matrix(), { name: 'weight' }).assign(h.zeros([2, 2], { dtype: 'f64' }) as never),
    h.DTypeError,
    /assign: weight holds f32, the value is f64/,
  ],
  [
    'an assignment of a number',
    () => new h.Cell(matrix()).assign(1 as never),
    h.ArgumentError,
    /assign: the next value is number 1, not a tensor/,
  ],
  [
    'an assignment to a tensor',
    () => h.assign([[matrix() as never, matrix()]]),
    h.ArgumentError,
    /assign: one of the pairs is an array, not \[cell, tensor\]/,
  ],
  [
    'bytes of another size',
    () => new h.Cell(matrix(), { name: 'weight' }).write(new Float32Array(3)),
    h.ArgumentError,
    /write: weight takes 16 bytes, not 12/,
  ],
  [
    'elements of another dtype',
    () => new h.Cell(matrix(), { name: 'weight' }).write(new Int32Array(4)),
    h.DTypeError,
    /write: weight takes a Float32Array or raw bytes, not a Int32Array/,
  ],
  [
    'a detached array to write',
    () => new h.Cell(matrix()).write(detached()),
    h.ArgumentError,
    /write: .* takes 16 bytes, not 0/,
  ],
  [
    'an array to write',
    () => new h.Cell(matrix()).write([1, 2, 3, 4] as never),
    h.DTypeError,
    /write: .* not an array/,
  ],
  [
    'a loss of many elements',
    () => h.grad(matrix(), [matrix()]),
    h.ShapeError,
    /grad: the loss has shape \[2,2\], not \[\]/,
  ],
  [
    'a loss of integers',
    () => h.grad(i32(1).sum(), [matrix()]),
    h.GradientError,
    /grad: the loss is i32; only floats have gradients/,
  ],
  [
    'a target of integers',
    () => h.grad(matrix().sum(), [i32(1)]),
    h.GradientError,
    /is i32; only floats have gradients/,
  ],
  [
    'a target the loss does not depend on',
    () => h.grad(matrix().sum(), [matrix()]),
    h.GradientError,
    /does not depend on/,
  ],
  [
    'a target that is null',
    () => h.grad(matrix().sum(), [null as never]),
    h.ArgumentError,
    /grad: a target is null, not a tensor/,
  ],
  [
    'no targets',
    () => h.grad(matrix().sum(), undefined as never),
    h.ArgumentError,
    /grad: the targets must be a list of tensors, not undefined/,
  ],
  [
    'a cotangent of another shape',
    () => h.vjp([matrix()], [h.tensor([1])], []),
    h.ShapeError,
    /vjp: output 0 is f32\[2,2\], its cotangent f32\[1\]/,
  ],
  ['a cotangent too few', () => h.vjp([matrix()], [], []), h.ArgumentError, /vjp: an operand is undefined/],
  [
    'a gradient that was not asked for',
    () => {
      const x = matrix()
      return h.grad(x.sum(), [x]).get(matrix())
    },
    h.GradientError,
    /gradients: none was asked of/,
  ],
  [
    'something else to compile',
    () => h.compile('f' as never),
    h.ArgumentError,
    /compile: it takes a function, not string 'f'/,
  ],
]

describe('bad arguments', () => {
  it.each(ROWS)('%s', (_, call, error, message) => {
    expect(call).toThrow(error)
    expect(call).toThrow(message)
  })

  it('a frozen parameter', () => {
    const weight = new h.Parameter(matrix(), { name: 'weight' })
    weight.trainable = false
    expect(() => h.grad(weight.sum(), [weight])).toThrow(/grad: weight is frozen/)
  })

  it('are thrown at the line that has them', () => {
    let caught: Error | undefined
    try {
      matrix().matmul(h.zeros([3, 2]))
    } catch (error) {
      caught = error as Error
    }
    expect(caught?.stack).toMatch(/bad-input\.test\.ts/)
  })

  it('reads of the wrong kind reject', async () => {
    await expect(matrix().item()).rejects.toThrow(/item: the tensor has 4 elements, shape \[2,2\]/)
    await expect(disposed().data()).rejects.toThrow(h.DisposedError)
    await expect(disposed().array()).rejects.toThrow(h.DisposedError)
  })

  it('inside a compiled function reject the call', async () => {
    const inside = (body: (x: h.Tensor) => unknown) =>
      h.compile(body as (x: h.Tensor) => h.Tensor, { name: 'step' })(matrix())
    const weight = new h.Cell(matrix(), { name: 'weight' })
    await expect(inside((x) => x.matmul(h.zeros([3, 1])))).rejects.toThrow(/matmul: inner dimensions differ/)
    await expect(inside(() => weight.assign(h.zeros([3])))).rejects.toThrow(
      /assign: weight has shape \[2,2\], the value \[3\]/,
    )
    await expect(inside(() => new h.Cell(matrix()))).rejects.toThrow(h.TraceError)
    await expect(inside(() => weight.write(new Float32Array(4)))).rejects.toThrow(
      /write: data can not be written inside/,
    )
    await expect(
      inside((x) => {
        x.dispose()
        return x.add(1)
      }),
    ).rejects.toThrow(h.DisposedError)
    await expect(inside(() => new Map())).rejects.toThrow(/compile: the result of step holds a Map/)
    let read: Promise<unknown> | undefined
    await inside((x) => {
      read = x.sum().item()
      read.catch(() => undefined)
      return x
    })
    await expect(read).rejects.toThrow(/data: a tensor inside a compiled function has no data yet/)
    expect(await weight.array()).toEqual([
      [1, 2],
      [3, 4],
    ])
    expect(await (await inside((x) => x.sum())).item()).toBe(10)
  })

  it('a disposed argument of a compiled function rejects', async () => {
    const step = h.compile((x: h.Tensor) => x.add(1))
    await expect(step(disposed())).rejects.toThrow(h.DisposedError)
    await expect(step(new Map() as never)).rejects.toThrow(/compile: an argument holds a Map/)
    expect(await (await step(matrix())).array()).toEqual([
      [2, 3],
      [4, 5],
    ])
  })
})
