// The process that is killed: it goes on from the newest checkpoint, saves steps, and ends itself at a chosen operation.
import { existsSync, renameSync, truncateSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { intercept, type Operation } from '../io/intercept.js'
import { contentOf, lossOf, storeAt } from './run.js'

/**
 * How it ends: `plain` before the operation; `torn` in the middle of a write; `unsynced` like a machine that loses its
 * power: what was written and not fsynced is cut off, renames whose folder was not fsynced are undone.
 */
export type Ending = 'plain' | 'torn' | 'unsynced' | 'clock'

const [root = '', ending = 'plain', point = '1'] = process.argv.slice(2)
const last = Number(point)

const unsynced = new Set<string>()
let renames: { readonly from: string; readonly to: string }[] = []

function losePower(): void {
  // Every second one, so that some of what was not synced has reached the disk all the same.
  for (const [i, path] of [...unsynced].entries()) if (i % 2 === last % 2 && existsSync(path)) truncateSync(path, 0)
  for (const { from, to } of renames.toReversed()) if (existsSync(to) && !existsSync(from)) renameSync(to, from)
}

function end(operation: Operation): never {
  if (ending === 'torn' && operation.bytes && operation.fd !== undefined)
    writeSync(operation.fd, operation.bytes, 0, operation.bytes.length >> 1, operation.position)
  if (ending === 'unsynced') losePower()
  process.kill(process.pid, 'SIGKILL')
  // The signal ends the process before anything else is done.
  for (;;);
}

let count = 0
await intercept({
  before(operation) {
    count++
    if (ending !== 'clock' && count >= last) end(operation)
  },
  after({ name, path, target }) {
    if (name === 'handle.writev') unsynced.add(path)
    if (name === 'rename') {
      renames.push({ from: path, to: target as string })
      for (const file of [...unsynced].filter((one) => one.startsWith(`${path}/`))) {
        unsynced.delete(file)
        unsynced.add(target + file.slice(path.length))
      }
    }
    if (name !== 'handle.sync') return
    unsynced.delete(path)
    renames = renames.filter(({ from, to }) => dirname(from) !== path && dirname(to) !== path)
  },
})

const store = storeAt(root, (error) => {
  writeSync(1, `problem ${error.message}\n`)
})
let step = (await store.latest())?.step ?? 0
writeSync(1, `begin ${step}\n`)
for (;;) {
  step++
  await store.save(step, contentOf(step), { loss: lossOf(step) })
  writeSync(1, `saved ${step}\n`)
}
