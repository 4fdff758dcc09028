// Folders of models whose weights are by the formula.
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { StateDict } from '../../lib/index.js'
import { writeSafetensors } from '../../lib/io/index.js'
import { temporaryFolder } from '../io/folder.js'

export { type Shapes, waves, weight, weightsOf } from './formula.js'

/** A folder with this config and these tensors. */
export async function folderOf(config: unknown, tensors: StateDict): Promise<string> {
  const folder = join(await temporaryFolder(), 'model')
  await mkdir(folder)
  await writeFile(join(folder, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config))
  await writeSafetensors(join(folder, 'model.safetensors'), tensors, { metadata: { format: 'pt' } })
  return folder
}
