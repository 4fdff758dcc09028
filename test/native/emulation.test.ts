// The CUDA backend's kernels on their emulation (npm run build:native -- --emulation): only where HEDDLE_CUDA_EMULATION=1.
import { execFile } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { root } from '../runtime/addon.js'

const program = join(root, 'build/Emulation/test-cuda')
const folder = mkdtempSync(join(tmpdir(), 'heddle-cache-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function run(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const environment = { ...process.env, HEDDLE_CACHE: folder, ...env }
  const { stdout } = await promisify(execFile)(program, args, { env: environment, maxBuffer: 2 ** 24 })
  return stdout.trimEnd().split('\n').at(-1) as string
}

/** How the sums of one product are split by the algorithm that was chosen for it. */
const ALONG_K = '1'
const IN_HALVES = '0'
const product = (env?: Record<string, string>, columns = 64): Promise<string> => run(['tell', String(columns)], env)

/** What is kept: one file for the product's choice, and none of compiled code. */
const files = (of = folder): string[] => readdirSync(of).map((name) => join(of, name))

/** FNV-1a, 64 bits. */
const hash = (bytes: Buffer): bigint =>
  bytes.reduce((sum, byte) => ((sum ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn, 0xcbf29ce484222325n)

/** A file of native/cuda/code_store.cpp: a mark, three numbers, the key and the value. */
function read(file: string): { key: string; value: string } {
  const content = readFileSync(file)
  const keyEnd = 32 + Number(content.readBigUInt64LE(8))
  return { key: content.toString('latin1', 32, keyEnd), value: content.toString('latin1', keyEnd) }
}

function write(file: string, { key, value }: { key: string; value: string }): void {
  const header = Buffer.from('heddle01'.padEnd(32, '\0'))
  const content = Buffer.from(key + value, 'latin1')
  header.writeBigUInt64LE(BigInt(key.length), 8)
  header.writeBigUInt64LE(BigInt(value.length), 16)
  header.writeBigUInt64LE(hash(content), 24)
  writeFileSync(file, Buffer.concat([header, content]))
}

/** Of attention in 16 bits, the engines of cuDNN that take it. */
function expectAttentionByCudnn(cache: string): void {
  const choices = files(cache)
    .map(read)
    .filter(({ key }) => /^attention/m.test(key))
  for (const op of ['attention', 'attentionGrad']) {
    for (const dtype of ['bf16', 'f16']) {
      const chosen = choices.filter(({ key }) => key.includes(`\n${op} ${dtype} `)).map(({ value }) => value)
      expect(chosen.length, `${op} ${dtype}`).toBeGreaterThan(4)
      expect(new Set(chosen)).toEqual(new Set(['cuDNN engine 101 2=1']))
    }
  }
}

describe.skipIf(process.env['HEDDLE_CUDA_EMULATION'] !== '1')('kernels of CUDA, emulated', () => {
  // Side by side, each with a folder of its own for what it chooses: each takes one core for minutes.
  it.concurrent.each<[string, Record<string, string>, ((cache: string) => void)?]>([
    ['timed', {}, expectAttentionByCudnn],
    ["each library's first, threads in a random order", { HEDDLE_DETERMINISTIC: '1', HEDDLE_CUDA_EMULATION_SEED: '1' }],
    ['another random order, one kernel at a time', { HEDDLE_CUDA_EMULATION_SEED: '2', HEDDLE_SYNC: '1' }],
    ['an older device', { HEDDLE_CUDA_EMULATION_CAPABILITY: '75' }],
  ])(
    '%s',
    async (_, env, expectChoices) => {
      const own = mkdtempSync(join(tmpdir(), 'heddle-cache-'))
      try {
        expect(await run([], { ...env, HEDDLE_CACHE: own })).toMatch(/^[1-9]\d* passed, 0 failed$/)
        expectChoices?.(own)
      } finally {
        rmSync(own, { recursive: true })
      }
    },
    900_000,
  )

  describe('the choice of an algorithm', () => {
    beforeEach(() => {
      for (const file of files()) rmSync(file)
    })

    it('goes by time, and is kept on disk', async () => {
      expect(await product()).toBe(IN_HALVES)
      expect(files()).toHaveLength(1)
      expect(read(files()[0] as string).value).toMatch(/^cublaslt 3/)
    })

    it('does not depend on time where it must not', async () => {
      await product()
      expect(await product({ HEDDLE_DETERMINISTIC: '1' })).toBe(ALONG_K)
    })

    it('is read from disk', async () => {
      await product()
      const [file] = files() as [string]
      const { key, value } = read(file)
      write(file, { key, value: value.replace('cublaslt 3', 'cublaslt 1') })
      expect(await product()).toBe(ALONG_K)
    })

    it('is not read from a file that others can write, whose code would run here', async () => {
      await product()
      const [file] = files() as [string]
      const { key, value } = read(file)
      write(file, { key, value: value.replace('cublaslt 3', 'cublaslt 1') })
      chmodSync(file, 0o666)
      expect(await product()).toBe(IN_HALVES)
    })

    it('is made again where the file names none that there is', async () => {
      await product()
      const [file] = files() as [string]
      const { key, value } = read(file)
      write(file, { key, value: 'cublaslt 9' })
      expect(await product()).toBe(IN_HALVES)
      expect(read(file)).toEqual({ key, value })
    })

    it.each([
      ['is cut off', (content: string) => content.slice(0, -3)],
      ['is empty', () => ''],
      ['has changed', (content: string) => content.replace('cublaslt 3', 'cublaslt 1')],
    ])('is made again where the file %s', async (_, damage) => {
      await product()
      const [file] = files() as [string]
      const content = readFileSync(file, 'latin1')
      writeFileSync(file, damage(content), 'latin1')
      expect(await product()).toBe(IN_HALVES)
      expect(readFileSync(file, 'latin1')).toBe(content)
    })

    it('needs no folder', async () => {
      expect(await product({ HEDDLE_CACHE: '/proc/nowhere' })).toBe(IN_HALVES)
    })

    it("is the library's first where there is no memory to compare in, and is not kept", async () => {
      expect(await product({ HEDDLE_CUDA_EMULATION_MEGABYTES: '1' }, 10_000)).toBe(ALONG_K)
      expect(files()).toEqual([])
    })
  })
})
