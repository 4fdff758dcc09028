// Every row of docs/from-pytorch.md runs, and gives what its last column says.
import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { root } from '../runtime/addon.js'
import { runPage } from './page.js'

interface Row {
  readonly pytorch: string
  readonly code: string
  readonly gives: string | undefined
}

const cellsOf = (line: string): string[] =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim())
const codeIn = (cell: string | undefined): string | undefined => /^`(.+)`$/.exec(cell ?? '')?.[1]

const ROWS = readFileSync(join(root, 'docs/from-pytorch.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !/^\| (PyTorch|-)/.test(line))
  .map((line): Row => {
    const [pytorch = '', code, gives] = cellsOf(line)
    return { pytorch, code: codeIn(code) ?? '', gives: codeIn(gives) }
  })

/** A program that runs a row and prints what it gives, or why it fails, as one line of JSON. */
const running = ({ code }: Row, position: number): string => `
try {
  const value = await (async () => { ${/^for /.test(code) ? code : `return (${code})`} })()
  const given = value instanceof h.Tensor ? await value.array() : ArrayBuffer.isView(value) ? [...value] : value
  // Models, optimizers and the like are made, not compared.
  const plain = typeof given === 'object' && !Array.isArray(given) ? undefined : given
  console.log('row ${position} ' + JSON.stringify({ plain }, (_, v) => (typeof v === 'bigint' ? Number(v) : v)))
} catch (error) {
  console.log('row ${position} ' + JSON.stringify({ error: String(error) }))
}`

describe('docs/from-pytorch.md', () => {
  const results = new Map<number, { plain?: unknown; error?: string }>()

  beforeAll(async () => {
    const { folder, output } = await runPage('from-pytorch.md', { after: ROWS.map(running).join('\n') })
    await rm(folder, { recursive: true, force: true })
    for (const [, position, json] of output.matchAll(/^row (\d+) (.*)$/gm))
      results.set(Number(position), JSON.parse(json as string))
  }, 60_000)

  it('has rows, each with code', () => {
    expect(ROWS.length).toBeGreaterThan(90)
    expect(ROWS.filter(({ code }) => code === '')).toEqual([])
  })

  it.each(ROWS.map((row, position) => ({ ...row, position })))('$code', ({ position, gives }) => {
    const result = results.get(position)
    expect(result).toBeDefined()
    expect(result?.error).toBeUndefined()
    if (gives !== undefined) expect(result?.plain).toEqual(JSON.parse(gives))
  })
})
