// Several environments in one process: worker threads that end or are terminated mid-run, two loads, exits.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, cpSync, mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import type { Binding } from '../../lib/runtime/binding.js'
import { bufferOf, loadTestAddon, readFloats, root, Tickets, testAddonPath } from './addon.js'

const binding = loadTestAddon()
const tickets = new Tickets(binding)
const compiled = (name: string): string => join(root, 'dist/test/runtime', name)
const start = (workerData: { milliseconds: number; making?: number; steps: number; runs: number }): Worker =>
  new Worker(compiled('worker.js'), { workerData })
const run = promisify(execFile)

describe('workers', () => {
  it('share the device with the main thread', async () => {
    const workers = [1, 2].map(() => start({ milliseconds: 1, steps: 1, runs: 50 }))
    const results = workers.map(async (worker) => {
      const messages: unknown[] = []
      worker.on('message', (message) => messages.push(message))
      const [code] = await once(worker, 'exit')
      return { messages, code }
    })
    const handle = bufferOf(binding, new Float32Array([5]))
    for (let i = 0; i < 50; i++) expect(await readFloats(binding, tickets, handle, 1)).toEqual(new Float32Array([5]))
    const expected = { messages: ['queued', new Float32Array([1, 2, 3])], code: 0 }
    expect(await Promise.all(results)).toEqual([expected, expected])
  })

  it('terminated mid-run give back everything, and the run stops at its next step', async () => {
    const before = binding.stats(0)
    const worker = start({ milliseconds: 10, steps: 1000, runs: 20 })
    await once(worker, 'message')
    expect(binding.stats(0).queued).toBeGreaterThan(0)
    expect(binding.stats(0).holders.map(({ label }) => label)).toContain('worker')
    await worker.terminate()
    // The step in progress may take its 10 ms; the other 20 thousand never run.
    const begun = performance.now()
    expect(await tickets.wait(binding.sync(0))).toBeUndefined()
    expect(performance.now() - begun).toBeLessThan(2000)
    const after = binding.stats(0)
    expect(after.queued).toBe(0)
    expect(after.allocated - after.arenaBytes).toBeLessThanOrEqual(before.allocated - before.arenaBytes)
    expect(after.holders.map(({ label }) => label)).not.toContain('worker')
  })

  it('terminated again and again leak nothing', async () => {
    await tickets.wait(binding.sync(0))
    const { allocated } = binding.stats(0)
    for (let i = 0; i < 10; i++) {
      const worker = start({ milliseconds: 0, steps: 1, runs: 2000 })
      await once(worker, 'message')
      await worker.terminate()
    }
    await tickets.wait(binding.sync(0))
    expect(binding.stats(0).allocated).toBe(allocated)
  })

  it('terminated while their kernels are made leak nothing, and the rest of the kernels is not made', async () => {
    await tickets.wait(binding.sync(0))
    const { allocated } = binding.stats(0)
    for (let i = 0; i < 20; i++) {
      // Ten minutes, were they all made.
      const worker = start({ milliseconds: 0, making: 20, steps: 30_000, runs: 3 })
      await once(worker, 'message')
      if (i % 2 === 0) await new Promise((resolve) => setTimeout(resolve, i))
      await worker.terminate()
    }
    await tickets.wait(binding.sync(0))
    expect(binding.stats(0).allocated).toBe(allocated)
    expect(binding.stats(0).queued).toBe(0)
  })

  it('cannot use the handles of other threads', async () => {
    const handle = bufferOf(binding, new Float32Array([1]))
    const source = `
      const binding = require(${JSON.stringify(testAddonPath)})
      let code = 'none'
      try { binding.free(${handle}) } catch (error) { code = error.code }
      require('node:worker_threads').parentPort.postMessage(code)`
    const [code] = await once(new Worker(source, { eval: true }), 'message')
    expect(code).toBe('invalidArgument')
    expect(await readFloats(binding, tickets, handle, 1)).toEqual(new Float32Array([1]))
  })
})

describe('processes', () => {
  it('may load two copies of the addon', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'heddle-'))
    try {
      cpSync(dirname(testAddonPath), folder, { recursive: true })
      copyFileSync(testAddonPath, join(folder, 'again.node'))
      const second = createRequire(import.meta.url)(join(folder, 'again.node')) as Binding
      expect(second).not.toBe(binding)
      second.devices('cpu')
      const secondTickets = new Tickets(second)
      const here = bufferOf(binding, new Float32Array([1]))
      const there = bufferOf(second, new Float32Array([2]))
      expect(await readFloats(second, secondTickets, there, 1)).toEqual(new Float32Array([2]))
      expect(await readFloats(binding, tickets, here, 1)).toEqual(new Float32Array([1]))
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('wait for pending reads, then end by themselves', async () => {
    const { stdout } = await run(process.execPath, [compiled('pending.js')], { timeout: 10_000 })
    expect(stdout).toContain('settled 6,7')
  })

  it('may exit with work pending', async () => {
    const failed = await run(process.execPath, [compiled('pending.js'), 'exit'], { timeout: 10_000 }).catch(
      (error) => error,
    )
    expect(failed.code).toBe(3)
    expect(failed.stdout).not.toContain('settled')
  })

  it('may exit while kernels are made', async () => {
    const failed = await run(process.execPath, [compiled('pending.js'), 'exit', '30000'], { timeout: 10_000 }).catch(
      (error) => error,
    )
    expect(failed.code).toBe(3)
  })
})
