// Runs a teacher over samples and writes what it gives into files, from where an earlier run was cut off.
import { join } from 'node:path'
import { type Compiled, compile } from '../compile.js'
import type { IndexedDataset } from '../data/dataset.js'
import { DataLoader } from '../data/loader.js'
import type { Batch } from '../data/tensors.js'
import { writeSafetensors } from '../io/safetensorsWrite.js'
import type { Module } from '../nn/module.js'
import { ShapeError } from '../runtime/errors.js'
import { formatShape, type Shape, sizeOf } from '../schema/shape.js'
import type { StateDict } from '../state.js'
import type { Tensor } from '../tensor.js'
import { type TensorFields, tensorFields } from '../train/batch.js'
import { Progress } from '../train/progress.js'
import { namedOutputs, type Outputs } from './outputs.js'
import type { CacheOptions } from './teacherCache.js'
import { type CachedOutput, type CacheManifest, writeManifest } from './teacherManifest.js'

/** Bytes of outputs in one file. */
const SHARD_BYTES = 64 * 2 ** 20

/** Names in a file: a single tensor's is empty, and none may be called `__metadata__`. */
export const tensorName = (name: string): string => (name === '' ? 'outputs' : `outputs.${name}`)

interface Row {
  readonly name: string
  readonly shape: Shape
  readonly state: StateDict[string]
}

/** Runs the teacher over the samples from `start` on and writes shards. */
export class TeacherWriter<T extends Module, S extends object, R extends Outputs, M extends string> {
  private readonly parts: Row[][] = []
  private bytes = 0
  private held = 0
  private readonly run: Compiled<[TensorFields<Batch<S, M>>], Record<string, Tensor>>

  constructor(
    teacher: T,
    private readonly samples: IndexedDataset<S>,
    private readonly options: CacheOptions<T, S, R, M>,
    private manifest: CacheManifest,
  ) {
    this.run = compile(
      (batch: TensorFields<Batch<S, M>>) =>
        Object.fromEntries(namedOutputs('cacheTeacher', options.forward(teacher, batch))),
      { name: 'the teacher' },
    )
  }

  async finish(): Promise<CacheManifest> {
    const { batchSize = 64, pad, dtypes, progress = true, signal } = this.options
    const { done, samples } = this.manifest
    const rest = this.samples.skip(done)
    const loader = new DataLoader<S, M>(rest, {
      batchSize,
      ...(pad ? { pad } : {}),
      ...(dtypes ? { dtypes } : {}),
    })
    const bar =
      progress === false
        ? undefined
        : new Progress({ total: samples, start: done, rate: RATE, ...(progress === true ? {} : progress) })
    try {
      for await (const batch of loader) {
        signal?.throwIfAborted()
        const count = Math.min(batchSize, samples - this.manifest.done - this.held)
        await this.take(tensorFields<Batch<S, M>>(batch), count)
        if (this.bytes >= SHARD_BYTES) await this.flush()
        bar?.update(this.manifest.done + this.held)
      }
      if (this.held > 0) await this.flush()
    } finally {
      bar?.finish()
    }
    return this.manifest
  }

  private async take(batch: TensorFields<Batch<S, M>>, count: number): Promise<void> {
    const outputs = await this.run(batch)
    const rows = await Promise.all(
      Object.entries(outputs).map(async ([name, tensor]): Promise<Row> => {
        using held = tensor
        const { shape, dtype } = held
        if (shape[0] !== count)
          throw new ShapeError(
            `cacheTeacher: an output${name && ` '${name}'`} is ${formatShape(shape)} for ${count} samples; each has a row per sample`,
          )
        return { name, shape: shape.slice(1), state: { data: await held.bits(), shape, dtype } }
      }),
    )
    const found = rows.map(({ name, shape, state }) => ({ name, shape, dtype: state.dtype }))
    const { outputs: known } = this.manifest
    if (known.length > 0 && JSON.stringify(known) !== JSON.stringify(found))
      throw new ShapeError(
        `cacheTeacher: the outputs of one sample have one shape: they were ${listed(known)}, and are ${listed(found)} from sample ${this.manifest.done + this.held} on; pad samples to one length`,
      )
    this.manifest = { ...this.manifest, outputs: found }
    this.parts.push(rows)
    this.held += count
    this.bytes += rows.reduce((sum, { state }) => sum + state.data.byteLength, 0)
  }

  /** Writes what is held as one file, then the manifest that knows of it. */
  private async flush(): Promise<void> {
    const { manifest, parts, held } = this
    const file = `teacher-${String(manifest.shards.length + 1).padStart(5, '0')}.safetensors`
    const tensors = Object.fromEntries(
      manifest.outputs.map(({ name, shape, dtype }, i) => {
        const arrays = parts.map((rows) => (rows[i] as Row).state.data as Uint8Array)
        const First = (arrays[0] as Uint8Array).constructor as new (length: number) => Uint8Array
        const whole = new First(held * sizeOf(shape))
        let at = 0
        for (const array of arrays) {
          whole.set(array, at)
          at += array.length
        }
        return [tensorName(name), { data: whole, shape: [held, ...shape], dtype }]
      }),
    )
    const { folder } = this.options
    await writeSafetensors(join(folder, file), tensors)
    this.manifest = {
      ...manifest,
      done: manifest.done + held,
      shards: [...manifest.shards, { file, count: held }],
    }
    await writeManifest(folder, this.manifest)
    this.parts.length = 0
    this.held = 0
    this.bytes = 0
  }
}

const RATE = { unit: 'samples', perStep: 1 } as const

const listed = (outputs: readonly CachedOutput[]): string =>
  outputs.map(({ name, shape, dtype }) => `${name && `${name} `}${dtype}${formatShape(shape)}`).join(', ')
