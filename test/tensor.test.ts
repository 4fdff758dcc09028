// Tensors that take the memory of a typed array: what is taken, when it reaches the device, and what is refused.
import { markAsUntransferable } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import * as h from '../lib/index.js'

const numbers = async (x: h.Tensor): Promise<number[]> => Array.from((await x.data()) as ArrayLike<number>)

const counting = (length: number): Float32Array => Float32Array.from({ length }, (_, i) => i / 8)

describe('a transferred array', () => {
  it.each([3, 64, 65, 5000])('of %d elements is the tensor, and empty afterwards', async (length) => {
    const [data, wanted] = [counting(length), [...counting(length)]]
    const { buffer } = data
    const x = h.tensor(data, { shape: [length, 1], transfer: true })
    expect(data.length).toBe(0)
    expect(buffer.byteLength).toBe(0)
    expect([...x.shape]).toEqual([length, 1])
    // Before work on the device needed it, with it, after it, and in runs that are in flight together.
    expect(await numbers(x)).toEqual(wanted)
    expect(await numbers(x.mul(2))).toEqual(wanted.map((element) => 2 * element))
    expect(await numbers(x)).toEqual(wanted)
    const add = h.compile((y: h.Tensor) => y.add(1))
    for (const sum of await Promise.all([add(x), add(x), add(x)]))
      expect(await numbers(sum)).toEqual(wanted.map((element) => element + 1))
    const read = await x.data()
    read.fill(0)
    expect(await numbers(x)).toEqual(wanted)
  })

  it('may hold any dtype whose memory it is', async () => {
    const halves = h.tensor(Uint16Array.of(0x3c00, 0xc000), { dtype: 'f16', transfer: true })
    expect(await numbers(halves)).toEqual([1, -2])
    expect(await h.tensor(BigInt64Array.of(-1n, 2n ** 40n), { transfer: true }).data()).toEqual(
      BigInt64Array.of(-1n, 2n ** 40n),
    )
    expect(await numbers(h.tensor(Uint8Array.of(200, 3), { transfer: true }).add(0))).toEqual([200, 3])
    const nothing = h.tensor(new Float64Array(0), { shape: [0, 3], transfer: true })
    expect(await numbers(nothing.mul(2))).toEqual([])
    expect((await nothing.sum().item()) as number).toBe(0)
  })

  it('becomes a cell with bytes of its own', async () => {
    const x = h.tensor(counting(200), { transfer: true })
    const cell = new h.Cell(x)
    cell.assign(cell.mul(0))
    expect(new Set(await numbers(cell))).toEqual(new Set([0]))
    expect(await numbers(x)).toEqual([...counting(200)])
  })

  it('is copied to the device when work there needs it, and never where none does', async () => {
    const length = 1 << 20
    const onDevice = (): number =>
      h
        .device('cpu')
        .memory()
        .holders.find(({ label }) => label === `tensor f32[${length}]`)?.bytes ?? 0
    const make = (): h.Tensor => h.tensor(new Float32Array(length), { transfer: true })
    await h.scope(async () => {
      const unused = make()
      expect(await numbers(unused)).toHaveLength(length)
      expect(onDevice()).toBe(0)
      unused.dispose()
      expect(() => unused.add(1)).toThrow(h.DisposedError)
      expect(await make().sum().item()).toBe(0)
      expect(onDevice()).toBeGreaterThanOrEqual(4 * length)
    })
    await h.device('cpu').synchronize()
    expect(onDevice()).toBe(0)
  })
})

describe('what is not transferred', () => {
  const detached = (): Float32Array => {
    const data = counting(4)
    structuredClone(data.buffer, { transfer: [data.buffer as ArrayBuffer] })
    return data
  }
  // The types of WebAssembly come with those of browsers, which a library for Node does without.
  const wasmMemory = (): Float32Array => {
    const { Memory } = (globalThis as never)['WebAssembly'] as {
      Memory: new (size: { initial: number }) => { buffer: ArrayBuffer }
    }
    return new Float32Array(new Memory({ initial: 1 }).buffer)
  }
  const untransferable = (): Float32Array => {
    const data = counting(4)
    markAsUntransferable(data.buffer)
    return data
  }
  it.each<[string, () => ArrayBufferView, h.TensorOptions, RegExp]>([
    ['shared memory', () => new Float32Array(new SharedArrayBuffer(16)), {}, /can not take a SharedArrayBuffer/],
    ['a part of a buffer', () => counting(8).subarray(2, 4), {}, /data is bytes 8 to 16 of 32; pass all of it/],
    ['an empty part of a buffer', () => counting(8).subarray(3, 3), {}, /data is bytes 12 to 12 of 32/],
    ['a part of the pool of Buffers', () => new Uint8Array(Buffer.from([1, 2]).buffer, 8, 2), {}, /bytes 8 to 10 of/],
    [
      'elements of another type',
      () => new Float64Array(3),
      { dtype: 'f32' },
      /a Float64Array is none of f32; pass a Float32Array/,
    ],
    ['what is detached already', detached, {}, /is detached/],
    ['memory of WebAssembly', wasmMemory, {}, /can not be taken/],
    ['what is marked as untransferable', untransferable, {}, /can not be taken/],
  ])('%s', async (_, make, options, message) => {
    const data = make()
    const before = data.byteLength
    const call = (): h.Tensor => h.tensor(data, { ...options, transfer: true })
    expect(call).toThrow(h.ArgumentError)
    expect(call).toThrow(message)
    expect(data.byteLength).toBe(before)
  })

  it.each([
    ['nested arrays', [[1, 2]], /takes the memory of a typed array, and the data is an array/],
    ['a number', 3, /the data is number 3/],
  ])('%s', (_, data, message) => {
    const call = (): h.Tensor => h.tensor(data, { transfer: true })
    expect(call).toThrow(h.ArgumentError)
    expect(call).toThrow(message)
  })

  it('with an error about the rest of the call', () => {
    const data = counting(6)
    expect(() => h.tensor(data, { shape: [4, 2], transfer: true })).toThrow(h.ShapeError)
    expect(() => h.tensor(data, { device: 'abacus', transfer: true })).toThrow(h.DeviceError)
    expect(() => h.tensor(data, { transfer: 1 as never })).toThrow(/transfer must be true or false, not number 1/)
    expect([...data]).toEqual([...counting(6)])
  })
})
