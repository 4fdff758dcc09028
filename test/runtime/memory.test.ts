// Snapshots of memory and their differences: what leaks is named with the line that made it.
import { afterEach, describe, expect, it } from 'vitest'
import { ArgumentError, Cell, compile, memory, ones, type Tensor, tensor } from '../../lib/index.js'

afterEach(() => memory.recordSites(false))

describe('memory', () => {
  it('names what stays, and where it was made', () => {
    memory.recordSites(true)
    const before = memory.snapshot()
    const kept = [1, 2].map(() => tensor([1, 2, 3]))
    tensor([4, 5]).dispose()
    const { count, bytes, groups, toString } = memory.diff(before, memory.snapshot())
    expect([count, bytes]).toEqual([2, 24])
    expect(groups).toHaveLength(1)
    expect(groups[0]).toMatchObject({ label: 'tensor f32[3]', count: 2, bytes: 24 })
    expect(groups[0]?.site).toMatch(/test\/runtime\/memory\.test\.ts:\d+/)
    expect(toString()).toMatch(/^\+2 buffers, \+24 bytes\n {2}\+24 bytes {2}\+2 {2}tensor f32\[3\] {2}.*memory\.test/)
    for (const one of kept) one.dispose()
    expect(memory.diff(before, memory.snapshot())).toMatchObject({ count: 0, bytes: 0, groups: [] })
  })

  it('shows nothing where nothing is left, also after compiled steps', async () => {
    const weight = new Cell(ones([64, 64]), { name: 'weight' })
    const step = compile((x: Tensor) => {
      weight.assign(weight.add(x))
      return { sum: weight.sum(), all: weight.mul(2) }
    })
    const x = tensor(1)
    const once = async (): Promise<void> => {
      const { sum, all } = await step(x)
      await sum.item()
      all.dispose()
    }
    await once()
    const before = memory.snapshot()
    for (let i = 0; i < 20; i++) await once()
    expect(String(memory.diff(before, memory.snapshot()))).toBe('0 buffers, 0 bytes')
    expect([...before.buffers.values()].some(({ label }) => label === 'weight' || label.startsWith('result'))).toBe(
      true,
    )
    expect(before.devices[weight.device.name]?.allocated).toBeGreaterThanOrEqual(before.bytes)
  })

  it('asking a cell what it is makes no copy when it is written', async () => {
    const weight = new Cell(ones([64, 64]))
    const step = compile(() => weight.assign(weight.mul(2)))
    await step()
    const before = memory.snapshot()
    expect([weight.device, weight.dtype, weight.shape]).toEqual([weight.state.device, 'f32', [64, 64]])
    await step()
    expect(String(memory.diff(before, memory.snapshot()))).toBe('0 buffers, 0 bytes')
  })

  it('takes snapshots only', () => {
    expect(() => memory.diff({} as never, memory.snapshot())).toThrow(ArgumentError)
  })
})
