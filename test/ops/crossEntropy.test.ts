// The crossEntropy cases against their references; and that linearCrossEntropy holds a part of the logits at a time.
import { describe, expect, it } from 'vitest'
import { CASES, ERRORS } from '../../lib/cases/crossEntropy.js'
import * as h from '../../lib/index.js'
import { checkFamily } from './check.js'

checkFamily('crossEntropy', CASES, ERRORS)

describe('linearCrossEntropy', () => {
  const [rows, width, classes] = [64, 8, 512]
  const draw = (shape: readonly number[], seed: number): h.Tensor =>
    h.randomNormal(shape, { generator: new h.Generator(seed) })
  const targets = h.tensor(
    Array.from({ length: rows }, (_, i) => (i * 37) % classes),
    { dtype: 'i32' },
  )
  const training = (loss: (x: h.Tensor, w: h.Tensor) => h.Tensor) =>
    h.compile((x: h.Tensor, w: h.Tensor) => {
      const value = loss(x, w)
      const slopes = h.grad(value, [x, w])
      return [value, slopes.get(x), slopes.get(w)] as [h.Tensor, h.Tensor, h.Tensor]
    })
  const whole = training((x, w) => h.crossEntropy(x.matmul(h.transpose(w)), targets))
  const parts = training((x, w) => h.linearCrossEntropy(x, w, targets, { rows: 16 }))

  it.each(['f32', 'bf16', 'f16'] as const)('in %s gives what crossEntropy gives on all logits', async (dtype) => {
    const x = draw([rows, width], 1).cast(dtype)
    const w = draw([classes, width], 2).cast(dtype)
    const found = await Promise.all((await parts(x, w)).map((result) => result.cast('f32').data()))
    const wanted = await Promise.all((await whole(x, w)).map((result) => result.cast('f32').data()))
    const rtol = dtype === 'f32' ? 1e-5 : dtype === 'bf16' ? 1.6e-2 : 2e-3
    found.forEach((values, k) => {
      values.forEach((value, i) => {
        expect(Math.abs(value - (wanted[k]?.[i] as number))).toBeLessThanOrEqual(
          1e-4 + rtol * Math.abs(wanted[k]?.[i] as number),
        )
      })
    })
  })

  it('never has more than a part of the logits in memory', async () => {
    const x = draw([rows, width], 1)
    const w = draw([classes, width], 2)
    await Promise.all([whole(x, w), parts(x, w)])
    const all = rows * classes * 4
    // What kernels need beside their operands differs from device to device and is not counted.
    const largest = (step: { readonly plan: h.Plan | undefined }): number =>
      Math.max(...(step.plan as h.Plan).layout.storages.flatMap(({ kind, bytes }) => (kind === 'arena' ? [bytes] : [])))
    expect(largest(whole)).toBe(all)
    expect(largest(parts)).toBe(all / 4)
  })
})
