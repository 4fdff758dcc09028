// Post-training quantisation, quantisation-aware training and loading of quantised models.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  convertQuantized,
  DynamicQuantizedLinear,
  loadQuantized,
  QuantizedConv2d,
  QuantizedLinear,
  quantizationAware,
  quantize,
  quantizeDynamic,
} from '../../lib/distill/index.js'
import {
  ArgumentError,
  compile,
  DTypeError,
  defaultDevice,
  gelu,
  grad,
  nn,
  optim,
  randomNormal,
  StateDictError,
  seed,
  type Tensor,
  tensor,
} from '../../lib/index.js'
import { readSafetensors, writeSafetensors } from '../../lib/io/index.js'

const { BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential } = nn

/** Convolutions with batch norm that has seen data, pooling, dropout and linear layers. */
async function network(): Promise<nn.Sequential> {
  seed(5)
  const model = new Sequential(
    new Conv2d(2, 8, 3, { padding: 1, bias: false }),
    new BatchNorm2d(8),
    new ReLU(),
    new MaxPool2d(2),
    new Conv2d(8, 12, 3, { groups: 2 }),
    new ReLU(),
    new Dropout(0.5),
    new Flatten(),
    new Linear(12 * 2 * 2, 16),
    new nn.GELU(),
    new Linear(16, 5),
  )
  for (let i = 0; i < 3; i++) await model.forward(images()).data()
  return model.eval()
}

const images = (): Tensor => randomNormal([16, 2, 8, 8])
const numbers = async (x: Tensor): Promise<number[]> => [...((await x.data()) as Float32Array)]

/** Power of `wanted` over that of the difference, in dB. */
function ratio(wanted: readonly number[], found: readonly number[]): number {
  const power = (values: readonly number[]) => values.reduce((sum, x) => sum + x * x, 0)
  return 10 * Math.log10(power(wanted) / power(wanted.map((x, i) => x - (found[i] as number))))
}

describe('quantize', () => {
  it.each(['minMax', 'movingAverage', 'percentile', 'mse'] as const)('keeps results, by %s', async (range) => {
    const model = await network()
    const calibration = [images(), images(), images()]
    const x = images()
    const wanted = await numbers(model.forward(x))
    const { report } = await quantize(model, calibration, { range })
    expect(ratio(wanted, await numbers(model.forward(x)))).toBeGreaterThan(25)
    expect(report.layers.map(({ name, kind, relu, integersOut }) => [name, kind, relu, integersOut])).toEqual([
      ['0', 'Conv2d', true, true],
      ['4', 'Conv2d', true, true],
      ['8', 'Linear', false, false],
      ['10', 'Linear', false, false],
    ])
    for (const { signalToNoise } of report.layers) expect(signalToNoise).toBeGreaterThan(28)
    expect(report.left).toEqual([])
    // Weights are a quarter; so small a model has as many bytes in biases and scales.
    expect(report.bytes.after).toBeLessThan(0.45 * report.bytes.before)
    expect(model[0]).toBeInstanceOf(QuantizedConv2d)
    expect(model[10]).toBeInstanceOf(QuantizedLinear)
    expect(model.parameters()).toEqual([])
  })

  it('passes integers from layer to layer in one compiled plan', async () => {
    const model = await network()
    await quantize(model, [images()])
    const run = compile((x: Tensor) => model.forward(x))
    const x = images()
    const wanted = await numbers(model.forward(x))
    expect(await numbers(await run(x))).toEqual(wanted)
    // Elsewhere integers are multiplied in f32.
    const { kind, instructionSet } = defaultDevice()
    if (kind !== 'cpu' || !/vnni|amx|bf16|fp16/.test(instructionSet)) return
    // The result of the first convolution, then of its pooling.
    expect(String(run.plan)).toMatch(/u8\[16,8,8,8\]/)
    expect(String(run.plan)).toMatch(/maxPool -> u8\[16,8,4,4\]/)
    expect(String(run.plan)).not.toMatch(/f32\[16,(8|12),/)
  })

  it('leaves what is excepted', async () => {
    const model = await network()
    const x = images()
    const wanted = await numbers(model.forward(x))
    const { report } = await quantize(model, [images()], { except: ['0', /^10$/] })
    expect(report.left).toEqual(['0', '10'])
    expect(model[0]).toBeInstanceOf(Conv2d)
    expect(model[1]).toBeInstanceOf(BatchNorm2d)
    expect(ratio(wanted, await numbers(model.forward(x)))).toBeGreaterThan(25)
  })

  it('finds layers of any module and passes batches as it is told', async () => {
    class Gated extends nn.Module {
      inner = { gate: new Linear(6, 6), value: new Linear(6, 6, { bias: false }) }
      forward(x: Tensor): Tensor {
        return this.inner.gate.forward(x).sigmoid().mul(this.inner.value.forward(x))
      }
    }
    seed(2)
    const model = new Gated()
    const x = randomNormal([40, 6])
    const wanted = await numbers(model.forward(x))
    const { report } = await quantize(model, [{ x }], { forward: (m, batch) => m.forward(batch.x) })
    expect(report.layers.map(({ name }) => name)).toEqual(['inner.gate', 'inner.value'])
    expect(ratio(wanted, await numbers(model.forward(x)))).toBeGreaterThan(30)
  })

  it('saves to safetensors and loads into a fresh model', async () => {
    const model = await network()
    await quantize(model, [images()], { except: '10' })
    const x = images()
    const wanted = await numbers(model.forward(x))
    const folder = mkdtempSync(join(tmpdir(), 'heddle-quantize-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'model.safetensors')
    await writeSafetensors(file, await model.stateDict())
    const state = await readSafetensors(file)
    expect(state['4.weight']?.dtype).toBe('i8')
    const loaded = loadQuantized(await network(), state)
    expect(await numbers(loaded.forward(x))).toEqual(wanted)
  })

  it('loads calibrated layers beside others', async () => {
    const model = await network()
    await quantize(model, [images()], { except: ['8', '10'] })
    await quantizeDynamic(model, { except: '10' })
    const x = images()
    const wanted = await numbers(model.forward(x))
    const loaded = loadQuantized(await network(), await model.stateDict())
    expect(loaded.layers.map(({ constructor }) => constructor)).toEqual(
      model.layers.map(({ constructor }) => constructor),
    )
    expect(await numbers(loaded.forward(x))).toEqual(wanted)
  })

  it('loads nothing of another model', async () => {
    const model = await network()
    const state = await model.stateDict()
    expect(() => loadQuantized(model, state)).toThrow(/no layer of the model has an i8 weight/)
    await quantize(model, [images()])
    const other = await network()
    const { '8.weight': _, ...rest } = await model.stateDict()
    expect(() => loadQuantized(other, { ...rest, more: state['0.weight'] as never })).toThrow(StateDictError)
    expect(other[0]).toBeInstanceOf(Conv2d)
    expect(Object.keys(await other.stateDict())).toEqual(Object.keys(state))
  })
})

describe('quantizationAware', () => {
  it.each(['observed', 'learned', 'fixed'] as const)(
    'trains, with ranges %s, and converts to the same',
    async (ranges) => {
      const model = await network()
      const teacher = await network()
      await quantizationAware(model, [images()], { ranges })
      model.train()
      const adam = new optim.Adam(model.parameters(), { lr: 1e-3 })
      const step = compile((x: Tensor) => {
        const loss = model.forward(x).sub(teacher.forward(x)).square().mean()
        adam.step(grad(loss, model.parameters()))
        return loss
      })
      const high = (): Promise<number> => (model[4] as unknown as { high: Tensor }).high.item() as Promise<number>
      const before = await high()
      for (let i = 0; i < 5; i++) await (await step(images())).item()
      expect((await high()) === before).toBe(ranges === 'fixed')
      model.eval()
      const x = images()
      const wanted = await numbers(model.forward(x))
      const { report } = await convertQuantized(model)
      expect(report.layers).toHaveLength(4)
      const found = await numbers(model.forward(x))
      // Where a sum lies between two integers, floats in another order round to the other one: seldom, and by one step.
      const largest = Math.max(...wanted.map(Math.abs))
      const apart = wanted.filter((y, i) => Math.abs(y - (found[i] as number)) > 1e-4 * largest)
      expect(apart.length).toBeLessThan(0.1 * wanted.length)
      expect(ratio(wanted, found)).toBeGreaterThan(50)
    },
  )

  it('lets gradients pass the rounding, and learns ranges by their step', async () => {
    const model = new Sequential(new Linear(1, 1, { bias: false }))
    const layer = () => model[0] as unknown as { weight: nn.Module['parameters'] & Tensor; low: Tensor; high: Tensor }
    model.loadStateDict({ '0.weight': { data: Float32Array.of(1), shape: [1, 1], dtype: 'f32' } })
    await quantizationAware(model, [tensor([[0], [2.55]])], { ranges: 'learned', range: 'minMax' })
    const x = tensor([[0.123], [9]])
    const loss = model.forward(x).sum()
    const { weight, low, high } = layer()
    const gradients = grad(loss, [x, weight, high], { missing: 'zero' })
    // Inside the range the slope is the weight's, outside 0.
    expect(await numbers(gradients.get(x))).toEqual([1, 0])
    expect((await numbers(gradients.get(weight)))[0]).toBeCloseTo(0.12 + 2.55, 5)
    // d/d scale: round(v) - v inside, 255 above; the scale is high / 255.
    expect((await numbers(gradients.get(high)))[0]).toBeCloseTo((12 - 12.3 + 255) / 255, 4)
    expect(await low.item()).toBe(0)
  })

  it('is needed before converting', async () => {
    await expect(convertQuantized(await network())).rejects.toThrow(/no layers that quantizationAware has made/)
  })
})

describe('quantizeDynamic', () => {
  it('keeps results of rows of any size, and loads', async () => {
    seed(3)
    const make = () => new Sequential(new Linear(24, 48), new nn.GELU(), new Linear(48, 8, { bias: false }))
    const model = make()
    const sizes = tensor([1e-3, 1, 50]).reshape(3, 1, 1)
    const x = randomNormal([3, 5, 24]).mul(sizes)
    const wanted = await numbers(model.forward(x))
    await quantizeDynamic(model)
    expect(model[0]).toBeInstanceOf(DynamicQuantizedLinear)
    const found = await numbers(model.forward(x))
    for (let row = 0; row < 3; row++)
      expect(ratio(wanted.slice(40 * row, 40 * row + 40), found.slice(40 * row, 40 * row + 40))).toBeGreaterThan(30)
    const loaded = loadQuantized(make(), await model.stateDict())
    expect(await numbers(loaded.forward(x))).toEqual(found)
  })

  it('gives zeros for rows of zeros', async () => {
    const model = await quantizeDynamic(new Sequential(new Linear(4, 3, { bias: false })))
    expect(await numbers(model.forward(tensor([[0, 0, 0, 0]])))).toEqual([0, 0, 0])
  })
})

describe('errors', () => {
  it('names what can not be quantised, and changes nothing', async () => {
    await expect(quantize(new Sequential(new ReLU()), [images()])).rejects.toThrow(
      /quantize: there is no Linear and no Conv2d inside the model; its modules are ReLU/,
    )
    const half = new Sequential(new Linear(4, 4, { dtype: 'bf16' }))
    await expect(quantize(half, [images()])).rejects.toThrow(DTypeError)
    const model = await network()
    await expect(quantize(model, [])).rejects.toThrow(/the calibration has no batches/)
    await expect(quantize(model, [{ image: images() }])).rejects.toThrow(/say how it passes by `forward`/)
    await expect(quantize(model, [images().mul(Number.NaN)])).rejects.toThrow(/the input of 0 .* not finite/)
    await expect(quantize(model, [images()], { except: 'nothing', range: 'best' as never })).rejects.toThrow(
      ArgumentError,
    )
    expect(model[0]).toBeInstanceOf(Conv2d)
    expect(model[1]).toBeInstanceOf(BatchNorm2d)
    expect(model[2]).toBeInstanceOf(ReLU)
  })

  it('names a layer that no data reaches', async () => {
    class Spare extends nn.Module {
      used = new Linear(3, 3)
      spare = new Linear(3, 3)
      forward(x: Tensor): Tensor {
        return gelu(this.used.forward(x))
      }
    }
    const model = new Spare()
    await expect(quantize(model, [randomNormal([2, 3])])).rejects.toThrow(/spare saw no data.*`except`/)
    expect(model.used).toBeInstanceOf(Linear)
  })
})
