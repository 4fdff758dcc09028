// Every file operation of a process, seen before and after it is done: what makes faults and crashes at chosen points.
import fs, { type FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

export interface Operation {
  readonly name: string
  /** Of the file or folder; of a rename, the old one. */
  readonly path: string
  /** The new path of a rename. */
  readonly target: string | undefined
  readonly fd: number | undefined
  /** Of a write. */
  readonly bytes: Uint8Array | undefined
  readonly position: number | undefined
}

export interface Watcher {
  /** May throw in place of the operation. */
  before?(operation: Operation): void
  after?(operation: Operation): void
}

type Method = (...args: unknown[]) => Promise<unknown>

const ON_PATHS = ['open', 'mkdir', 'rename', 'rm', 'readdir', 'stat', 'access', 'readFile'] as const
const ON_HANDLES = ['writev', 'readv', 'readFile', 'sync', 'datasync', 'close', 'stat'] as const

/** Shows all operations of `node:fs/promises` from now on to `watcher`; gives what ends it. */
export async function intercept(watcher: Watcher): Promise<() => void> {
  const names = new WeakMap<FileHandle, string>()
  const probe = await fs.open('.', 'r')
  const prototype = Object.getPrototypeOf(probe) as Record<string, Method>
  await probe.close()
  const undo: (() => void)[] = []

  const wrap = (
    holder: Record<string, Method>,
    name: string,
    see: (self: unknown, args: unknown[]) => Operation,
  ): void => {
    const original = holder[name] as Method
    holder[name] = async function (this: unknown, ...args: unknown[]): Promise<unknown> {
      const operation = see(this, args)
      watcher.before?.(operation)
      const result = await original.apply(this, args)
      if (name === 'open' && holder === (fs as unknown)) names.set(result as FileHandle, operation.path)
      watcher.after?.(operation)
      return result
    }
    undo.push(() => {
      holder[name] = original
    })
  }
  for (const name of ON_PATHS)
    wrap(fs as unknown as Record<string, Method>, name, (_, [path, target]) => ({
      name,
      path: String(path),
      target: name === 'rename' ? String(target) : undefined,
      fd: undefined,
      bytes: undefined,
      position: undefined,
    }))
  for (const name of ON_HANDLES)
    wrap(prototype, name, (self, [buffers, position]) => ({
      name: `handle.${name}`,
      path: names.get(self as FileHandle) ?? '',
      target: undefined,
      fd: (self as FileHandle).fd,
      bytes: name === 'writev' ? Buffer.concat(buffers as Uint8Array[]) : undefined,
      position: name === 'writev' ? (position as number) : undefined,
    }))
  syncBuiltinESMExports()
  return () => {
    for (const one of undo.reverse()) one()
    syncBuiltinESMExports()
  }
}
