// Packages that are loaded when they are first needed; a missing one is one sentence.
import { HeddleError } from '../runtime/errors.js'

type Package = 'csv-parse' | 'hyparquet' | 'hyparquet-compressors' | 'sharp' | '@huggingface/tokenizers'

/** By literal names, so that tools that pack programs find them. */
const LOADS: Readonly<Record<Package, () => Promise<unknown>>> = {
  'csv-parse': () => import('csv-parse'),
  hyparquet: () => import('hyparquet'),
  'hyparquet-compressors': () => import('hyparquet-compressors'),
  sharp: async () => (await import('sharp')).default,
  '@huggingface/tokenizers': () => import('@huggingface/tokenizers'),
}

/**
 * @internal The package; the caller says what it is, so that no declaration of ours needs one that is not installed. Throws
 * `HeddleError` where it can not be loaded.
 */
export async function load(op: string, name: Package): Promise<unknown> {
  try {
    return await LOADS[name]()
  } catch (cause) {
    throw new HeddleError(
      `${op}: it needs the package ${name}, which can not be loaded; install it (npm install ${name})`,
      { cause },
    )
  }
}
