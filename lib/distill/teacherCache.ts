// A teacher's outputs on disk: computed once, read row by row with the samples they belong to.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { CollateRules } from '../data/collate.js'
import { type DatasetLike, IndexedDataset, indexed } from '../data/dataset.js'
import type { HostArray, SampleContext } from '../data/sample.js'
import type { Batch } from '../data/tensors.js'
import { openSafetensors, type SafetensorsFile } from '../io/safetensors.js'
import { Module } from '../nn/module.js'
import { integerFrom, optionsOf } from '../ops/arguments.js'
import { ArgumentError, TeacherCacheError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { formatShape } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import type { TensorFields } from '../train/batch.js'
import type { ProgressOptions } from '../train/progress.js'
import { asTeachers } from './distillation.js'
import { checkUnchanging, fingerprintOfModel, fingerprintOfSamples, fingerprintOfText } from './fingerprint.js'
import { nested, type Outputs } from './outputs.js'
import { type CachedOutput, type CacheManifest, manifestPath, readManifest } from './teacherManifest.js'
import { TeacherWriter, tensorName } from './teacherWriter.js'

export interface CacheOptions<T extends Module, S extends object, R extends Outputs, M extends string = never>
  extends CollateRules<M> {
  /** The folder of the cache; made where there is none. One cache to a folder. */
  readonly folder: string
  /** Runs the teacher on a batch, as in `distill`. Each tensor has a row per sample; all rows of one must have one shape. */
  readonly forward: (teacher: T, batch: TensorFields<Batch<S, M>>) => R
  /** Samples that go through the teacher at once. Default 64. */
  readonly batchSize?: number
  /** A name of your own for the state of the data, in place of reading every sample to tell whether they are the same. */
  readonly dataName?: string
  readonly progress?: boolean | Pick<ProgressOptions, 'stream' | 'intervalMs'>
  /** Ends it by rejecting with the signal's reason; what is on disk by then is gone on from. */
  readonly signal?: AbortSignal
}

/** Outputs as the fields of a sample: lists become objects by position. */
export type Cached<R> = R extends Tensor ? HostArray : { readonly [K in keyof R & (string | number)]: Cached<R[K]> }

/** A sample with what the teacher said of it. */
export type WithTeacher<S, R> = S & { readonly teacher: Cached<R> }

interface Shard {
  readonly start: number
  readonly count: number
  readonly file: SafetensorsFile
}

/**
 * Samples with a teacher's outputs for them, in the field `teacher`, from disk: give it to a `DataLoader`, shuffled or split as
 * any dataset, and to `distill` as the teacher. Batches without that field, for validation, go through the teacher itself.
 * Comes from `cacheTeacher`; close it when done.
 */
export class TeacherCache<T extends Module = Module, S extends object = object, R extends Outputs = Outputs>
  extends IndexedDataset<WithTeacher<S, R>>
  implements AsyncDisposable
{
  /** @internal */
  constructor(
    readonly teacher: T,
    /** How a batch goes through the teacher. */
    readonly forward: (teacher: T, batch: never) => R,
    private readonly samples: IndexedDataset<S>,
    private readonly outputs: readonly CachedOutput[],
    private readonly shards: readonly Shard[],
    /** Samples that went through the teacher now; the others were on disk. */
    readonly computed: number,
  ) {
    super()
  }

  get length(): number {
    return this.samples.length
  }

  protected async read(index: number, context: SampleContext): Promise<WithTeacher<S, R>> {
    const sample = await this.samples.get(index, context)
    const shard = this.shards.find(({ start, count }) => index < start + count) as Shard
    const named = await Promise.all(
      this.outputs.map(async ({ name, shape, dtype }) => {
        const { data } = await shard.file.readRows(tensorName(name), index - shard.start, 1)
        return [name, { data, shape, dtype } as HostArray] as const
      }),
    )
    return { ...sample, teacher: nested(named) } as WithTeacher<S, R>
  }

  async close(): Promise<void> {
    await Promise.all(this.shards.map(({ file }) => file.close()))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Opens the files of a whole cache. Throws `TeacherCacheError` where they are not what the manifest says. */
async function openShards(folder: string, { shards, outputs }: CacheManifest): Promise<Shard[]> {
  const open: Shard[] = []
  try {
    let start = 0
    for (const { file: name, count } of shards) {
      const file = await openSafetensors(join(folder, name))
      open.push({ start, count, file })
      for (const output of outputs) {
        const { dtype, shape } = file.spec(tensorName(output.name))
        if (dtype !== output.dtype || String(shape) !== String([count, ...output.shape]))
          throw new TeacherCacheError(
            `cacheTeacher: ${join(folder, name)} holds ${dtype}${formatShape(shape)} where ${output.dtype}${formatShape([count, ...output.shape])} should be; remove the folder and cache again`,
          )
      }
      start += count
    }
    return open
  } catch (cause) {
    for (const { file } of open) await file.close()
    if (cause instanceof TeacherCacheError) throw cause
    throw new TeacherCacheError(
      `cacheTeacher: a file of ${folder} can not be used (${(cause as Error).message}); remove the folder and cache again`,
      { cause },
    )
  }
}

/**
 * The outputs of a teacher for every sample, computed once and kept in a folder: later epochs and later runs read them. The
 * folder knows by fingerprints which teacher (all its weights), which samples and which `forward` (its source) they are of;
 * where one is another, it throws `TeacherCacheError` and changes nothing. What was cut off is gone on with. Throws
 * `ArgumentError` for samples that differ from epoch to epoch, `ShapeError` for outputs without a row per sample.
 *
 * @example
 * await using cache = await cacheTeacher(teacher, digits, { folder: 'runs/teacher', forward, dtypes: { label: 'i32' } })
 * const loader = new DataLoader(cache, { batchSize: 64, shuffle: true, dtypes: { label: 'i32' } })
 * await distill(student, cache, loader, { forward, optimizer, epochs: 10 })
 */
export async function cacheTeacher<T extends Module, S extends object, R extends Outputs, M extends string = never>(
  teacher: T,
  samples: DatasetLike<S>,
  options: CacheOptions<T, S, R, M>,
): Promise<TeacherCache<T, S, R>> {
  const op = 'cacheTeacher'
  if (!(teacher instanceof Module)) throw new ArgumentError(`${op}: the teacher is a module, not ${describe(teacher)}`)
  const { folder, forward, batchSize = 64, dataName } = optionsOf(op, options)
  if (typeof folder !== 'string') throw new ArgumentError(`${op}: the folder is a path, not ${describe(folder)}`)
  if (typeof forward !== 'function') throw new ArgumentError(`${op}: forward runs the teacher on a batch`)
  integerFrom(op, 'batchSize', batchSize, 1)
  const source = indexed(op, samples)
  if (source.length === 0) throw new ArgumentError(`${op}: there are no samples`)
  await checkUnchanging(op, source)
  const first = await source.get(0)
  if (Object.hasOwn(first, 'teacher'))
    throw new ArgumentError(`${op}: samples have a field 'teacher' already, where the outputs are to stand`)
  const rules = JSON.stringify([options.pad ?? {}, options.dtypes ?? {}])
  const wanted: CacheManifest = {
    version: 1,
    samples: source.length,
    teacher: await fingerprintOfModel(teacher),
    data: dataName === undefined ? await fingerprintOfSamples(source) : `named ${dataName}`,
    forward: fingerprintOfText(`${String(forward)}${rules}`),
    outputs: [],
    done: 0,
    shards: [],
  }
  await mkdir(folder, { recursive: true })
  const found = await readManifest(folder)
  if (found) checkFits(folder, found, wanted)
  const begun = found ?? wanted
  const whole =
    begun.done === begun.samples
      ? begun
      : await asTeachers([teacher], () => new TeacherWriter<T, S, R, M>(teacher, source, options, begun).finish())
  const shards = await openShards(folder, whole)
  return new TeacherCache(teacher, forward as never, source, whole.outputs, shards, whole.done - begun.done)
}

/** Throws `TeacherCacheError` where a cache is of something else, with what. */
function checkFits(folder: string, found: CacheManifest, wanted: CacheManifest): void {
  const facts = [
    ['the teacher', 'teacher', 'other weights'],
    ['the data', 'data', `${found.samples} samples then, ${wanted.samples} now`],
    ['forward', 'forward', 'another function, or other rules for batches'],
  ] as const
  const others = facts.filter(([, key]) => found[key] !== wanted[key])
  if (others.length === 0) return
  const table = others.map(([what, , how]) => `  ${what}: ${how}`).join('\n')
  throw new TeacherCacheError(
    `cacheTeacher: ${manifestPath(folder)} is of something else; take another folder, or remove this one\n${table}`,
  )
}
