// What every example does besides its subject: its size from the command line, a table of its figures, and a JSON file of them.
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

const { values } = parseArgs({ options: { full: { type: 'boolean', default: false }, json: { type: 'string' } } })

/** Whether the example runs as its figures are stated (`--full`), or small: to see that it works. */
export const full: boolean = values.full

/** Mean and spread (standard deviation) over repetitions. */
export function spread(numbers: readonly number[]): { mean: number; spread: number } {
  const mean = numbers.reduce((sum, x) => sum + x, 0) / numbers.length
  const squares = numbers.reduce((sum, x) => sum + (x - mean) ** 2, 0)
  return { mean, spread: Math.sqrt(squares / Math.max(1, numbers.length - 1)) }
}

/** Prints the figures, one to a line, and writes them to the file of `--json`. */
export function report(figures: Readonly<Record<string, unknown>>): void {
  const width = Math.max(...Object.keys(figures).map((name) => name.length))
  for (const [name, value] of Object.entries(figures))
    console.log(
      `${name.padEnd(width)}  ${typeof value === 'number' ? Number(value.toPrecision(4)) : JSON.stringify(value)}`,
    )
  if (values.json) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`)
}
