// What a frozen model makes of data, computed once and kept: a probe is trained on it at next to no cost.
import { compile } from '../compile.js'
import { dataset, type IndexedDataset } from '../data/dataset.js'
import type { HostArray } from '../data/sample.js'
import { disposeBatch } from '../data/tensors.js'
import { Module } from '../nn/module.js'
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import type { DType } from '../schema/dtype.js'
import { sizeOf } from '../schema/shape.js'
import { Tensor } from '../tensor.js'
import { type TensorFields, tensorFields } from '../train/batch.js'

/** A sample of features: a row of each tensor, numbers where a row has one. */
export type FeatureSample<K extends string> = Readonly<Record<K, HostArray | number | bigint>>

/**
 * Runs every batch of `data` through `extract`, compiled and in `eval` mode, and gives a dataset of the rows of its tensors,
 * in memory: frozen features, and labels beside them. A row of one element is a number in the sample.
 * Throws `ArgumentError` where the tensors of a batch have not as many rows as one another.
 *
 * @example
 * const cached = await features(encoder, loader, (encoder, { image, label }) => ({ x: encoder.forward(image), label }))
 * await train(new nn.Linear(64, 10), new DataLoader(cached, { batchSize: 64, shuffle: true }), { ... })
 */
export async function features<M extends Module, B extends object, K extends string>(
  model: M,
  data: AsyncIterable<B>,
  extract: (model: M, batch: TensorFields<B>) => Readonly<Record<K, Tensor>>,
): Promise<IndexedDataset<FeatureSample<K>>> {
  const op = 'features'
  if (!(model instanceof Module)) throw new ArgumentError(`${op}: it takes a module, not ${describe(model)}`)
  if (typeof extract !== 'function') throw new ArgumentError(`${op}: extract is a function of the model and a batch`)
  const modes = [model, ...model.namedModules().map(([, module]) => module)].map(
    (module) => [module, module.training] as const,
  )
  const run = compile((batch: TensorFields<B>) => extract(model, batch), { name: op })
  const samples: FeatureSample<K>[] = []
  model.eval()
  try {
    for await (const batch of data) {
      const made = await run(tensorFields(batch as B))
      const entries = await Promise.all(
        (Object.entries(made) as [K, Tensor][]).map(async ([name, rows]) => {
          if (!(rows instanceof Tensor) || rows.rank === 0)
            throw new ArgumentError(`${op}: ${name} must be a tensor with a row for each sample`)
          return [name, rowsOf(await rows.data(), rows.shape.slice(1), rows.dtype, rows.shape[0] as number)] as const
        }),
      )
      const counts = new Set(entries.map(([, rows]) => rows.length))
      if (counts.size !== 1)
        throw new ArgumentError(`${op}: the tensors of a batch have ${[...counts].join(' and ')} rows`)
      for (let row = 0; row < ([...counts][0] as number); row++)
        samples.push(Object.fromEntries(entries.map(([name, rows]) => [name, rows[row]])) as FeatureSample<K>)
      disposeBatch(made)
    }
  } finally {
    for (const [module, training] of modes) module.training = training
  }
  return dataset(samples)
}

type Elements = Awaited<ReturnType<Tensor['data']>>

function rowsOf(
  data: Elements,
  shape: readonly number[],
  dtype: DType,
  count: number,
): (HostArray | number | bigint)[] {
  const size = sizeOf(shape)
  return Array.from({ length: count }, (_, row) =>
    shape.length === 0
      ? (data[row] as number | bigint)
      : ({ data: data.slice(row * size, (row + 1) * size), shape, dtype } as HostArray),
  )
}
