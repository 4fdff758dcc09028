// The folders heddle keeps things in: whether they are there, and can be read and written.
import { accessSync, constants, mkdtempSync, readdirSync, rmdirSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { defaultCache } from '../../models/hubCache.js'
import type { CacheFolder } from './diagnosis.js'

const reasonOf = (error: unknown): string => {
  const { code, message } = error as NodeJS.ErrnoException
  const words: Readonly<Record<string, string>> = {
    EACCES: 'permission denied',
    EROFS: 'the file system is read-only',
    ENOTDIR: 'a file is in its way',
    ENOSPC: 'the disk is full',
  }
  return words[code ?? ''] ?? message
}

/** Looks at a folder, by writing a folder into it: permissions alone do not tell of a read-only file system. */
export function cacheFolder(purpose: string, path: string, from: string): CacheFolder {
  const told = { purpose, path, from }
  let exists = false
  try {
    exists = statSync(path).isDirectory()
    if (!exists) return { ...told, exists, readable: false, writable: false, error: 'it is no folder' }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      return { ...told, exists, readable: false, writable: false, error: reasonOf(error) }
  }
  if (!exists) {
    // It is made when it is needed: the nearest folder above it has to let that happen.
    let above = dirname(path)
    while (above !== dirname(above) && !isThere(above)) above = dirname(above)
    const error = whyNotWritten(above)
    return { ...told, exists, readable: error === '', writable: error === '', error: error && `${above}: ${error}` }
  }
  let error = ''
  let readable = true
  try {
    readdirSync(path)
  } catch (cause) {
    readable = false
    error = `it can not be read: ${reasonOf(cause)}`
  }
  const unwritten = whyNotWritten(path)
  return {
    ...told,
    exists,
    readable,
    writable: unwritten === '',
    error: error || (unwritten && `it can not be written: ${unwritten}`),
  }
}

const isThere = (path: string): boolean => {
  try {
    statSync(path)
    return true
  } catch {
    return false
  }
}

function whyNotWritten(folder: string): string {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK)
    rmdirSync(mkdtempSync(join(folder, '.heddle-doctor-')))
    return ''
  } catch (error) {
    return reasonOf(error)
  }
}

/** Where compiled GPU programs are kept: as native/cuda/code_store.cpp has it. */
function programFolder(): readonly [path: string, from: string] {
  const { HEDDLE_CACHE, XDG_CACHE_HOME } = process.env
  if (HEDDLE_CACHE) return [HEDDLE_CACHE, 'HEDDLE_CACHE']
  if (XDG_CACHE_HOME) return [join(XDG_CACHE_HOME, 'heddle'), 'XDG_CACHE_HOME']
  return [join(homedir(), '.cache/heddle'), 'the default']
}

export function caches(): CacheFolder[] {
  const { HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME } = process.env
  const hubFrom = HF_HUB_CACHE
    ? 'HF_HUB_CACHE'
    : HUGGINGFACE_HUB_CACHE
      ? 'HUGGINGFACE_HUB_CACHE'
      : HF_HOME
        ? 'HF_HOME'
        : XDG_CACHE_HOME
          ? 'XDG_CACHE_HOME'
          : 'the default'
  return [
    cacheFolder('pretrained models', defaultCache(), hubFrom),
    cacheFolder('compiled GPU programs', ...programFolder()),
  ]
}
