// The build scripts as tests import them: plain JavaScript, so each test says which of its functions it takes.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root } from '../runtime/addon.js'

export const script = async <T>(name: string): Promise<T> =>
  (await import(pathToFileURL(join(root, 'scripts', name)).href)) as T
