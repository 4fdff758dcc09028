// What the trainer costs over a loop written out: chunks of steps of either, in turns.
import { compile, crossEntropy, defaultDevice, grad, optim, type Tensor } from '../../lib/index.js'
import { train } from '../../lib/train/index.js'
import { median } from '../median.js'
import { type Benchmark, benchmark } from '../models.js'

const CHUNKS = 9

export interface OverheadRow {
  readonly case: string
  readonly loopMs: number
  readonly trainerMs: number
  /** trainerMs / loopMs, the median over pairs of chunks. */
  readonly ratio: number
}

type Batch = { readonly x: Tensor; readonly y: Tensor }

const lossOf = (model: Benchmark['model'], { x, y }: Batch): Tensor => {
  const logits = model.forward(x)
  return crossEntropy(logits.reshape(-1, logits.shape.at(-1) as number), y)
}
const adamw = (model: Benchmark['model']) => new optim.AdamW(model.parameters(), { lr: 1e-3 })

/** The loop written out: milliseconds of a step, over `steps` of them. */
function loop(subject: Benchmark): (steps: number) => Promise<number> {
  const { model, x, y } = subject
  const optimizer = adamw(model)
  const step = compile((...[input, target]: [Tensor, Tensor]) => {
    const loss = lossOf(model, { x: input, y: target })
    optimizer.step(grad(loss, model.parameters()))
    return loss
  })
  return async (steps) => {
    const begun = performance.now()
    let loss: Tensor | undefined
    for (let i = 0; i < steps; i++) {
      loss?.dispose()
      loss = await step(x, y)
    }
    await loss?.item()
    return (performance.now() - begun) / steps
  }
}

/** Milliseconds per step of the loop and of the trainer, whose batches make it wait while the loop has its turn. */
export async function overhead(name: 'mlp' | 'cnn' | 'gpt', chunkMs: number): Promise<OverheadRow> {
  const written = loop(benchmark(name))
  await written(3)
  const steps = Math.max(4, Math.round(chunkMs / (await written(3))))
  const subject = benchmark(name)
  const times: [number, number][] = []
  async function* batches(): AsyncGenerator<Batch> {
    for (let chunk = 0; chunk <= CHUNKS; chunk++) {
      const begun = performance.now()
      for (let i = 0; i < steps; i++) yield subject
      await defaultDevice().synchronize()
      const own = (performance.now() - begun) / steps
      const other = await written(steps)
      // The first chunk warms up.
      if (chunk > 0) times.push([other, own])
    }
  }
  await train(subject.model, batches(), {
    loss: (model, batch) => lossOf(model, batch as Batch),
    optimizer: adamw(subject.model),
    epochs: 1,
    progress: { stream: { write: () => true } },
  })
  return {
    case: name,
    loopMs: median(times.map(([a]) => a)),
    trainerMs: median(times.map(([, b]) => b)),
    ratio: median(times.map(([a, b]) => b / a)),
  }
}
