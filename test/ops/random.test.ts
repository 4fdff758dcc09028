// Random draws against Random123's known answers and their own statistics.
import { describe, expect, it } from 'vitest'
import { normals, philox, uniforms, wideUniforms } from '../../lib/cases/philox.js'
import * as h from '../../lib/index.js'

const numbers = async (x: h.Tensor): Promise<number[]> => Array.from((await x.data()) as ArrayLike<number>)

function expectClose(found: readonly number[], wanted: readonly number[], rtol: number, atol: number): void {
  expect(found.length).toBe(wanted.length)
  found.forEach((x, i) => {
    const y = wanted[i] as number
    if (!(Math.abs(x - y) <= atol + rtol * Math.abs(y))) expect.fail(`element ${i} is ${x}, the reference says ${y}`)
  })
}

/** Expects a mean of `n` draws within five standard deviations of what it should be. */
function expectMean(found: number, wanted: number, deviation: number, n: number): void {
  expect(Math.abs(found - wanted)).toBeLessThan((5 * deviation) / Math.sqrt(n))
}

describe('Philox4x32-10', () => {
  // The known answers of Random123 (kat_vectors, philox4x32 10).
  it.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ])('of counter %j: the reference gives the known answer', (counter, key, words) => {
    expect(philox(counter, key)).toEqual(words)
  })

  it('gives the known answer as uniforms', async () => {
    const draw = h.randomUniform([4], { generator: new h.Generator(0) })
    expect(await numbers(draw)).toEqual(
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8].map((word) => (word >>> 8) * 2 ** -24),
    )
  })

  it.each([0n, 1n, 2n ** 32n - 1n, 2n ** 53n + 7n, 2n ** 64n - 1n])(
    'follows the reference from seed %s',
    async (seed) => {
      const generator = new h.Generator(seed)
      expect(await numbers(h.randomUniform([3, 71], { generator }))).toEqual(uniforms(seed, 0n, 213))
      // 213 elements took 54 blocks.
      expect(await numbers(h.randomUniform([5, 3], { generator, dtype: 'f64' }))).toEqual(wideUniforms(seed, 54n, 15))
      expect(await numbers(h.randomUniform([2], { generator }))).toEqual(uniforms(seed, 62n, 2))
    },
  )

  it('carries the counter into its upper word', async () => {
    const generator = new h.Generator(3)
    const counter = 2n ** 32n - 2n
    generator.state.write(BigInt64Array.of(3n, counter))
    expect(await numbers(h.randomUniform([21], { generator }))).toEqual(uniforms(3n, counter, 21))
    expect(await numbers(h.randomUniform([2], { generator }))).toEqual(uniforms(3n, counter + 6n, 2))
  })

  it('gives normals of pairs of uniforms', async () => {
    const generator = new h.Generator(11)
    expectClose(
      await numbers(h.randomNormal([501], { generator })),
      normals(uniforms(11n, 0n, 502)).slice(0, 501),
      1.3e-6,
      1e-5,
    )
    expectClose(
      await numbers(h.randomNormal([7, 9], { generator, dtype: 'f64' })),
      normals(wideUniforms(11n, 126n, 64)).slice(0, 63),
      1e-7,
      1e-7,
    )
  })
})

describe('a generator', () => {
  it('goes on where it was, and starts again from its seed', async () => {
    const generator = new h.Generator(5)
    const [a, b] = [h.randomUniform([8], { generator }), h.randomUniform([8], { generator })]
    const together = h.randomUniform([16], { generator: new h.Generator(5) })
    expect([...(await numbers(a)), ...(await numbers(b))]).toEqual(await numbers(together))
    generator.seed(5)
    expect(await numbers(h.randomUniform([8], { generator }))).toEqual(await numbers(a))
  })

  it('gives the order of the calls, whatever is read first', async () => {
    const generator = new h.Generator(6)
    const draws = Array.from({ length: 3 }, () => h.randomUniform([5], { generator }))
    for (const i of [2, 0, 1]) expect(await numbers(draws[i] as h.Tensor)).toEqual(uniforms(6n, BigInt(2 * i), 5))
  })

  it('draws the same compiled and uncompiled, one call after the other', async () => {
    const draws = (generator: h.Generator): h.Tensor[] => [
      h.randomUniform([3, 5], { generator }),
      h.randomNormal([10], { generator }),
      h.cast(h.bernoulli(0.3, [9], { generator }), 'f32'),
      h.randomNormal([3], { generator, dtype: 'f64' }),
    ]
    const [eager, inside] = [new h.Generator(7), new h.Generator(7)]
    const compiled = h.compile(() => draws(inside))
    for (let call = 0; call < 3; call++) {
      const [wanted, found] = [draws(eager), await compiled()]
      for (const [i, x] of wanted.entries()) expect(await numbers(found[i] as h.Tensor)).toEqual(await numbers(x))
    }
    expect(await inside.state.data()).toEqual(await eager.state.data())
    expect(await numbers(h.randomUniform([4], { generator: inside }))).toEqual(
      await numbers(h.randomUniform([4], { generator: eager })),
    )
  })

  it('never shares draws that look alike', async () => {
    const generator = new h.Generator(8)
    const compiled = h.compile(() => [h.randomUniform([4], { generator }), h.randomUniform([4], { generator })])
    const [a, b] = await compiled()
    expect(await numbers(a as h.Tensor)).toEqual(uniforms(8n, 0n, 4))
    expect(await numbers(b as h.Tensor)).toEqual(uniforms(8n, 1n, 4))
  })

  it('can be the shared one, set by seed', async () => {
    h.seed(123)
    const first = await numbers(h.randomUniform([6]))
    h.seed(123n)
    expect(await numbers(h.randomUniform([6]))).toEqual(first)
    expect(first).toEqual(uniforms(123n, 0n, 6))
  })

  it('rounds f16 and bf16 from f32', async () => {
    const draw = (dtype: 'f16' | 'bf16' | 'f32'): h.Tensor =>
      h.randomNormal([33], { dtype, generator: new h.Generator(9) })
    const full = draw('f32')
    for (const dtype of ['f16', 'bf16'] as const)
      expect(await numbers(draw(dtype))).toEqual(await numbers(h.cast(full, dtype)))
  })
})

describe('distributions', () => {
  const n = 200_000
  const average = (draws: readonly number[]): number => draws.reduce((a, b) => a + b, 0) / draws.length

  it('uniforms lie in [0,1) and are uniform', async () => {
    for (const dtype of ['f32', 'f64'] as const) {
      const draws = await numbers(h.randomUniform([n], { dtype, generator: new h.Generator(1) }))
      expect(draws.every((x) => x >= 0 && x < 1)).toBe(true)
      expectMean(average(draws), 1 / 2, Math.sqrt(1 / 12), n)
      // E x^4 = 1/5 and E x^2 = 1/3.
      expectMean(average(draws.map((x) => x * x)), 1 / 3, Math.sqrt(1 / 5 - 1 / 9), n)
    }
  })

  it('uniforms lie in [low, high)', async () => {
    const draws = await numbers(h.randomUniform([n], { low: -3, high: 5, generator: new h.Generator(2) }))
    expect(draws.every((x) => x >= -3 && x < 5)).toBe(true)
    expectMean(average(draws), 1, 8 / Math.sqrt(12), n)
  })

  it('normals have the moments of a normal', async () => {
    for (const dtype of ['f32', 'f64'] as const) {
      const draws = await numbers(h.randomNormal([n], { dtype, mean: 3, std: 2, generator: new h.Generator(3) }))
      const standard = draws.map((x) => (x - 3) / 2)
      // The k-th powers have the means 0, 1, 0, 3 and the variances 1, 2, 15, 96.
      const moments = [
        [1, 0, 1],
        [2, 1, 2],
        [3, 0, 15],
        [4, 3, 96],
      ] as const
      for (const [power, mean, variance] of moments)
        expectMean(average(standard.map((x) => x ** power)), mean, Math.sqrt(variance), n)
      // Neighbours share a radius: their product must still have mean 0.
      expectMean(average(standard.slice(1).map((x, i) => x * (standard[i] as number))), 0, 1, n)
    }
  })

  it('bernoulli is true with its probability', async () => {
    for (const p of [0, 0.125, 0.7, 1]) {
      const draws = Array.from(await h.bernoulli(p, [n], { generator: new h.Generator(4) }).data())
      if (p === 0 || p === 1) expect(draws.every((x) => x === p)).toBe(true)
      else expectMean(average(draws), p, Math.sqrt(p * (1 - p)), n)
    }
    const probabilities = [0.1, 0.5, 0.9]
    const table = h.broadcastTo(h.tensor(probabilities), [n, 3])
    const shares = await numbers(h.cast(h.bernoulli(table, { generator: new h.Generator(5) }), 'f64').mean({ axes: 0 }))
    shares.forEach((share, i) => expectMean(share, probabilities[i] as number, 0.5, n))
  })

  it('categorical draws each class with its probability', async () => {
    const weights = [1, 4, 0, 2, 3]
    const logits = h.broadcastTo(h.log(h.tensor(weights)), [n, 5])
    const draws = Array.from(await h.categorical(logits, { generator: new h.Generator(6) }).data())
    weights.forEach((weight, k) => {
      const p = weight / 10
      const share = draws.filter((x) => x === k).length / n
      if (p === 0) expect(share).toBe(0)
      else expectMean(share, p, Math.sqrt(p * (1 - p)), n)
    })
  })

  it('dropout zeros its share and keeps the mean', async () => {
    const draws = await numbers(h.dropout(h.ones([n]), 0.3, { generator: new h.Generator(7) }))
    expect(new Set(draws)).toEqual(new Set([0, Math.fround(1 / 0.7)]))
    expectMean(draws.filter((x) => x === 0).length / n, 0.3, Math.sqrt(0.21), n)
  })
})

describe('dropout', () => {
  const x = (): h.Tensor => h.add(h.arange(1, 65, 1, { dtype: 'f32' }), 0)
  const both = (input: h.Tensor, generator: h.Generator): h.Tensor[] => {
    const y = h.dropout(input, 0.5, { generator })
    return [y, h.grad(y.mul(3).sum(), [input]).get(input)]
  }

  it.each(['uncompiled', 'compiled'])('drops the same elements forward and backward, %s', async (how) => {
    const generator = new h.Generator(10)
    const run =
      how === 'compiled'
        ? h.compile((input: h.Tensor) => both(input, generator))
        : async (input: h.Tensor) => both(input, generator)
    let before: number[] = []
    for (let call = 0; call < 2; call++) {
      const [y, slope] = await run(x())
      const forward = await numbers(y as h.Tensor)
      expect(await numbers(slope as h.Tensor)).toEqual(forward.map((v) => (v === 0 ? 0 : 6)))
      expect(forward).toEqual(forward.map((v, i) => (v === 0 ? 0 : 2 * (i + 1))))
      expect(forward).not.toEqual(before)
      before = forward
    }
  })

  it('does nothing when not training, and everything at p = 1', async () => {
    const input = x()
    expect(h.dropout(input, 0.5, { training: false })).toBe(input)
    expect(h.dropout(input, 0)).toBe(input)
    expect(new Set(await numbers(h.dropout(input, 1)))).toEqual(new Set([0]))
  })
})

describe('bad arguments', () => {
  it.each([
    [
      'a fractional extent',
      () => h.randomUniform([1.5]),
      h.ShapeError,
      /randomUniform: the shape \[1.5\] has the extent 1.5/,
    ],
    ['a negative extent', () => h.randomNormal([-1]), h.ShapeError, /randomNormal: the shape \[-1\]/],
    ['a huge shape', () => h.randomNormal([2 ** 30, 2 ** 30]), h.ShapeError, /more elements than can be addressed/],
    [
      'integers',
      () => h.randomUniform([2], { dtype: 'i32' as never }),
      h.DTypeError,
      /randomUniform: it draws floats, not i32/,
    ],
    [
      'limits in the wrong order',
      () => h.randomUniform([2], { low: 1, high: 0 }),
      h.ArgumentError,
      /high must be a number from 1 up, not 0/,
    ],
    [
      'a negative deviation',
      () => h.randomNormal([2], { std: -1 }),
      h.ArgumentError,
      /std must be a number from 0 up, not -1/,
    ],
    [
      'a probability of 2',
      () => h.bernoulli(2, [1]),
      h.ArgumentError,
      /bernoulli: p must be a number from 0 to 1, not 2/,
    ],
    [
      'integer probabilities',
      () => h.bernoulli(h.zeros([2], { dtype: 'i32' })),
      h.DTypeError,
      /bernoulli: it takes floats, not i32/,
    ],
    ['no classes', () => h.categorical(h.zeros([3, 0])), h.ShapeError, /categorical: logits \[3,0\] have no classes/],
    [
      'a dropout that is NaN',
      () => h.dropout(h.ones([2]), Number.NaN),
      h.ArgumentError,
      /dropout: p must be a number from 0 to 1, not NaN/,
    ],
    [
      'something else as a generator',
      () => h.randomUniform([2], { generator: {} as never }),
      h.ArgumentError,
      /the generator is .* not a Generator/,
    ],
    ['a negative seed', () => new h.Generator(-1), h.ArgumentError, /seed: it must be an integer from 0 to 2\^53 - 1/],
    ['a fractional seed', () => h.seed(0.5), h.ArgumentError, /not 0.5/],
    ['a seed of 65 bits', () => h.seed(2n ** 64n), h.ArgumentError, /below 2\^64/],
  ])('%s', (_, call, error, message) => {
    expect(call).toThrow(error)
    expect(call).toThrow(message)
  })

  it('a seed inside a compiled function', async () => {
    const generator = new h.Generator(1)
    const step = h.compile(() => {
      generator.seed(2)
      return h.randomUniform([1], { generator })
    })
    await expect(step()).rejects.toThrow(h.TraceError)
  })
})
