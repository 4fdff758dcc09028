// A device that is lost: every promise that waits for it is told, and the CPU goes on.
import { afterAll, describe, expect, it } from 'vitest'
import * as h from '../../lib/index.js'

describe.skipIf(process.env['HEDDLE_CUDA_EMULATION'] !== '1')('a lost CUDA device', () => {
  afterAll(() => {
    delete process.env['HEDDLE_CUDA_EMULATION_LOST']
  })

  it('fails what waits and what comes, with DeviceLostError, while the CPU works', async () => {
    const cuda = h.device('cuda')
    const x = h.tensor([1, 2, 3], { device: cuda })
    const step = h.compile((given: h.Tensor) => h.softmax(given.mul(2)))
    expect(await (await step(x)).sum().item()).toBeCloseTo(1, 6)
    const pending = [await step(x), await step(x), x.add(1)].map((result) => result.data())
    process.env['HEDDLE_CUDA_EMULATION_LOST'] = '1'
    const later = h.exp(x).data()
    const settled = await Promise.allSettled([...pending, later])
    // What was done before it was lost may have arrived.
    for (const result of settled)
      if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(h.DeviceLostError)
    expect(settled.at(-1)).toMatchObject({ status: 'rejected' })
    await expect(x.sub(1).data()).rejects.toThrow(h.DeviceLostError)
    await expect(cuda.synchronize()).rejects.toThrow(h.DeviceLostError)
    expect(await h.tensor([1, 2], { device: 'cpu' }).add(1).data()).toEqual(new Float32Array([2, 3]))
  })
})
