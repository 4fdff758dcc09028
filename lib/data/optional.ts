// Packages that are loaded when they are first needed; a missing one is one sentence.
import { HeddleError } from '../runtime/errors.js'

const LOADS = {
  'csv-parse': () => import('csv-parse'),
  hyparquet: () => import('hyparquet'),
  'hyparquet-compressors': () => import('hyparquet-compressors'),
  sharp: async () => (await import('sharp')).default,
  '@huggingface/tokenizers': () => import('@huggingface/tokenizers'),
} as const

type Loads = typeof LOADS

/** @internal The package. Throws `HeddleError` where it is not installed. */
export async function load<N extends keyof Loads>(op: string, name: N): Promise<Awaited<ReturnType<Loads[N]>>> {
  try {
    return (await LOADS[name]()) as Awaited<ReturnType<Loads[N]>>
  } catch (cause) {
    throw new HeddleError(
      `${op}: it needs the package ${name}, which can not be loaded; install it (npm install ${name})`,
      {
        cause,
      },
    )
  }
}
