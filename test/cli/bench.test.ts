// heddle bench: small runs of it, its files, comparisons, exit codes and what it refuses. Times are not looked at.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { BenchResult } from '../../lib/bench/result.js'
import { temporaryFolder } from '../io/folder.js'
import { heddle } from './heddle.js'

const bench = (...argv: string[]) => heddle(['bench', ...argv])
const read = async (path: string): Promise<BenchResult> => JSON.parse(await readFile(path, 'utf8')) as BenchResult

describe('heddle bench', { timeout: 300_000 }, () => {
  it('times cases and holds each against the roofline, saves, compares and draws', async () => {
    const folder = await temporaryFolder()
    const [json, html] = [join(folder, 'a.json'), join(folder, 'a.html')]
    const { status, stdout, stderr } = bench(
      'softmax of rows of 72',
      '--small',
      '--seconds',
      '0.001',
      '--json',
      json,
      '--html',
      html,
    )
    expect(stderr).toBe('')
    expect(status).toBe(0)
    expect(stdout).toMatch(/^cpu, \S+, \d+ threads?; a call alone takes /)
    expect(stdout).toMatch(
      /^copy [\d.]+ GB\/s \(with ordinary stores [\d.]+\), reading [\d.]+ GB\/s; f32 [\d.]+ GFLOP\/s, f64 [\d.]+ GFLOP\/s/m,
    )
    const { machine, rows, failed } = await read(json)
    expect(failed).toEqual([])
    expect(machine.copyBytesPerSecond).toBeGreaterThan(0)
    expect(rows.map((row) => row.case)).toEqual(
      ['softmax: softmax of rows of 72', 'softmax: logSoftmax of rows of 72'].slice(0, rows.length),
    )
    for (const { roofline, cold, warm, work, memory, small } of rows) {
      expect(roofline).toBeGreaterThan(0)
      expect(cold.p50).toBeGreaterThan(0)
      expect(cold.p99).toBeGreaterThanOrEqual(cold.p50)
      expect(warm.samples).toBeGreaterThanOrEqual(7)
      expect(work).toEqual({ operations: 5 * 3 * 72, bytes: 2 * 4 * 3 * 72, steps: 1 })
      expect(memory.allocatedBytes).toBeGreaterThanOrEqual(work.bytes)
      expect(small).toBe(true)
    }
    expect(await readFile(html, 'utf8')).toContain('softmax: softmax of rows of 72')

    // As if it had taken a thousandth of the time: slower, and the exit code says so.
    const quick = await read(json)
    const shorter = (text: string): string =>
      text.replace(/"(p50|low|high)": ([\d.e-]+)/g, (_, key, value) => `"${key}": ${Number(value) / 1000}`)
    const baseline = join(folder, 'quick.json')
    await writeFile(baseline, shorter(JSON.stringify(quick, null, 1)))
    const compared = bench('--from', json, '--baseline', baseline)
    expect(compared.status).toBe(1)
    expect(compared.stdout).toMatch(
      / slower than the baseline:\n {2}softmax: softmax of rows of 72 \(f32\): 1000\.00 times as long/,
    )
    expect(bench('--from', json, '--baseline', json)).toMatchObject({ status: 0 })
  })

  it('takes a dtype, shapes and gradients', async () => {
    const json = join(await temporaryFolder(), 'a.json')
    const argv = [
      'matmul: [[]3,4[]] x*',
      '--dtype',
      'f64',
      '--shape',
      '32x48,48x16',
      '--gradients',
      '--seconds',
      '0.001',
      '--json',
      json,
    ]
    expect(bench('/matmul: \\[3,4\\] x \\[4/', ...argv.slice(1))).toMatchObject({ status: 0, stderr: '' })
    const { rows } = await read(json)
    expect(rows.map((row) => [row.case, row.dtype, row.shapes])).toEqual([
      [
        'matmul: [3,4] x [4,5]',
        'f64',
        [
          [32, 48],
          [48, 16],
        ],
      ],
      [
        'matmul: [3,4] x [4,5], gradient',
        'f64',
        [
          [32, 48],
          [48, 16],
        ],
      ],
    ])
    expect(rows.map(({ work }) => work.operations)).toEqual([2 * 32 * 48 * 16, 4 * 32 * 48 * 16])
  })

  it('tells of shapes that do not fit, and goes on', async () => {
    const failed = bench('matmul: [3,4] x [4,5]', '--shape', '3x4,5x6', '--seconds', '0.001')
    expect(failed).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('inner dimensions differ: [3,4] x [5,6]'),
    })
    expect(failed.stdout).toContain('0 cases, 1 failed')
  })

  it('names its cases', () => {
    const { status, stdout } = bench('attention: causal*', '--list')
    expect(status).toBe(0)
    expect(stdout).toMatch(/^attention: causal {2}f32 {2}\[4,8,512,64\] \[4,8,512,64\] \[4,8,512,64\]$/m)
  })

  it.each<readonly [string, readonly string[], number, RegExp]>([
    ['no such case', ['nothing like it'], 2, /no case fits 'nothing like it'/],
    ['a dtype', ['--dtype', 'f8'], 2, /--dtype takes one of f32, .*, not 'f8'/],
    ['a shape', ['--shape', '3x-1'], 2, /--shape takes shapes such as 1024x512,512x64, not '3x-1'/],
    ['too few shapes', ['matmul: vectors', '--shape', '3,3x2,5'], 2, /takes 2 operands, and --shape names 3/],
    ['a time', ['--seconds', 'soon'], 2, /--seconds takes a number above 0/],
    ['a device', ['softmax', '--device', 'tpu'], 1, /there is no device 'tpu'/],
    ['a regular expression', ['/(/'], 2, /is no regular expression/],
    ['a baseline', ['softmax', '--baseline', '/dev/null'], 1, /it is no benchmark that heddle saved/],
    ['two sizes', ['--small', '--shape', '3'], 2, /give one/],
    ['an option', ['--loud'], 2, /'--loud'/],
  ])('refuses %s it does not know', (_, argv, code, what) => {
    const { status, stderr } = bench(...argv)
    expect(stderr).toMatch(what)
    expect(status).toBe(code)
  })
})
