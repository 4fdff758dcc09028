// The CUDA backend's kernels on their emulation (npm run build:native -- --emulation): only where HEDDLE_CUDA_EMULATION=1.
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
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
const product = (env?: Record<string, string>, columns = 4): Promise<string> => run(['tell', String(columns)], env)

const algorithms = join(folder, 'algorithms')
const files = (): string[] => readdirSync(algorithms).map((name) => join(algorithms, name))

/** FNV-1a, 64 bits. */
const hash = (text: string): string =>
  [...Buffer.from(text, 'latin1')]
    .reduce((sum, byte) => ((sum ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn, 0xcbf29ce484222325n)
    .toString(16)
    .padStart(16, '0')

describe.skipIf(process.env['HEDDLE_CUDA_EMULATION'] !== '1')('kernels of CUDA, emulated', () => {
  it.each([
    ['timed', {}],
    ['the first of each library', { HEDDLE_DETERMINISTIC: '1' }],
    ['threads in a random order', { HEDDLE_CUDA_EMULATION_SEED: '1' }],
    ['another random order, one kernel at a time', { HEDDLE_CUDA_EMULATION_SEED: '2', HEDDLE_SYNC: '1' }],
  ])(
    '%s',
    async (_, env) => {
      expect(await run([], env as Record<string, string>)).toMatch(/^[1-9]\d* passed, 0 failed$/)
    },
    300_000,
  )

  describe('the choice of an algorithm', () => {
    beforeEach(() => rmSync(algorithms, { recursive: true, force: true }))

    it('goes by time, and is kept on disk', async () => {
      expect(await product()).toBe(IN_HALVES)
      expect(files()).toHaveLength(1)
    })

    it('does not depend on time where it must not', async () => {
      await product()
      expect(await product({ HEDDLE_DETERMINISTIC: '1' })).toBe(ALONG_K)
    })

    it('is read from disk', async () => {
      await product()
      const [file] = files() as [string]
      const content = readFileSync(file, 'latin1')
      const [header, ...rest] = content.split('\n') as [string, ...string[]]
      const [, , keyLength, valueLength] = header.split(' ').map(Number) as [number, number, number, number]
      const [key, value] = [rest.join('\n').slice(0, keyLength), rest.join('\n').slice(keyLength)]
      expect(value).toHaveLength(valueLength)
      const other = value.replace('cublaslt 3', 'cublaslt 1')
      writeFileSync(file, `heddle 1 ${keyLength} ${valueLength} ${hash(key + other)}\n${key}${other}`, 'latin1')
      expect(await product()).toBe(ALONG_K)
    })

    it.each([
      ['is cut off', (content: string) => content.slice(0, -3)],
      ['is empty', () => ''],
      ['has changed', (content: string) => content.replace('cublaslt 3', 'cublaslt 1')],
      ['names what is not there', (content: string) => content.replace('cublaslt 3', 'cublaslt 9')],
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
      expect(await product({ HEDDLE_CUDA_EMULATION_MEGABYTES: '1' }, 100_000)).toBe(ALONG_K)
      expect(() => files()).toThrow()
    })
  })
})
