// Fingerprints of a model and of samples: what a cache of outputs belongs to.
import { createHash, type Hash } from 'node:crypto'
import type { IndexedDataset } from '../data/dataset.js'
import { SamplePlace } from '../data/sample.js'
import type { Module } from '../nn/module.js'
import { ArgumentError } from '../runtime/errors.js'

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)

/** Takes in a value of any kind that samples have, each with its kind and size, so that no two differ unnoticed. */
function feed(hash: Hash, value: unknown): void {
  if (ArrayBuffer.isView(value)) hash.update(`${value.constructor.name} ${value.byteLength};`).update(bytesOf(value))
  else if (Array.isArray(value)) {
    hash.update(`list ${value.length};`)
    for (const item of value) feed(hash, item)
  } else if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value)
    hash.update(`object ${entries.length};`)
    for (const [name, item] of entries) {
      hash.update(`${JSON.stringify(name)}:`)
      feed(hash, item)
    }
  } else hash.update(`${typeof value} ${JSON.stringify(String(value))};`)
}

/** SHA-256 of every parameter and buffer of a model, with names, shapes and dtypes. */
export async function fingerprintOfModel(model: Module): Promise<string> {
  const hash = createHash('sha256')
  for (const [name, state] of Object.entries(await model.stateDict({ bits: true }))) {
    hash.update(`${JSON.stringify(name)} `)
    feed(hash, state)
  }
  return hash.digest('hex')
}

const digestOf = (value: unknown): string => {
  const hash = createHash('sha256')
  feed(hash, value)
  return hash.digest('hex')
}

/** Samples that are looked at twice. */
const LOOKED_AT = 4

/** Throws `ArgumentError` where samples differ from epoch to epoch: what a teacher says of one is not what it says of the next. */
export async function checkUnchanging<T>(op: string, samples: IndexedDataset<T>): Promise<void> {
  for (let index = 0; index < Math.min(LOOKED_AT, samples.length); index++) {
    const [first, second] = [0, 1].map((epoch) => samples.get(index, new SamplePlace(0, epoch, index)))
    if (digestOf(await first) !== digestOf(await second))
      throw new ArgumentError(
        `${op}: sample ${index} is another one in each epoch, so that no output for it can be kept; cache samples as they are before augmentation, or distill without a cache`,
      )
  }
}

/** SHA-256 of every sample in order. */
export async function fingerprintOfSamples<T>(samples: IndexedDataset<T>): Promise<string> {
  const hash = createHash('sha256').update(`${samples.length};`)
  for (let index = 0; index < samples.length; index++) feed(hash, await samples.get(index))
  return hash.digest('hex')
}

/** SHA-256 of a text. */
export const fingerprintOfText = (text: string): string => createHash('sha256').update(text).digest('hex')
