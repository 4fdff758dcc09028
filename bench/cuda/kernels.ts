// Times heddle's kernels at sizes that show what the hardware gives: rows of {case, ms, gbPerS, tflops ...}.
//   node dist/bench/cuda/kernels.js --group rows|products [--device cuda] [--results FOLDER] [--quick] [--only TEXT]
//   node dist/bench/cuda/kernels.js --group rows|products --list: the cases, as gpu/peers.py reads them
import { abs, cast, compile, defaultDevice, seed, setDefaultDevice, type Tensor } from '../../lib/index.js'
import { casesOf, type Goals, type Group, type KernelCase } from './cases.js'
import type { Row } from './results.js'
import { runCases, type Stage, stageOf, told } from './stage.js'
import { subjectOf } from './subjects.js'
import { type Timing, throughput } from './throughput.js'

export interface KernelRow extends Row, Partial<Timing> {
  readonly dtype?: string
  readonly sizes?: Readonly<Record<string, number>>
  readonly bytes?: number
  readonly flops?: number
  /** `bytes` and `flops` over the time of one copy. */
  readonly gbPerS?: number
  readonly tflops?: number
  readonly goals?: Goals
  /** Runs that one run of the compiled function holds, each on data of its own. */
  readonly copies?: number
  /** What our own large copy came to in the same session. */
  readonly copyGbPerS?: number
  readonly deviceName?: string
}

/** What a case has one whole run to do for, at most: making operands, choosing kernels, five samples. */
const SECONDS_PER_CASE = 12

/** Throws where nothing, or nothing finite, was written: a kernel that did not run is no fast kernel. */
async function checkWritten(written: readonly Tensor[]): Promise<void> {
  for (const tensor of written) {
    const sum = Number(await abs(cast(tensor, 'f32')).sum().item())
    if (!(sum > 0 && Number.isFinite(sum))) throw new Error(`a result of it sums up to ${sum}`)
  }
}

async function measure(subject: KernelCase, { quick }: Stage): Promise<Omit<KernelRow, 'case'>> {
  const { case: name, dtype, sizes, bytes, flops, copies, goals } = subject
  const made = subjectOf(subject)
  try {
    const compiled = compile((inputs: Tensor[][]) => made.run(inputs), { name })
    const run = () => compiled(made.inputs as Tensor[][])
    const timing = await throughput(defaultDevice(), run, quick ? { sampleMs: 2, samples: 3 } : {})
    await checkWritten(made.written)
    const ms = timing.ms / copies
    const each = { ms, leastMs: timing.leastMs / copies, mostMs: timing.mostMs / copies }
    const rates = { gbPerS: bytes / ms / 1e6, tflops: flops / ms / 1e9 }
    const deviceName = defaultDevice().instructionSet
    return { dtype, sizes, bytes, flops, goals, copies, ...timing, ...each, ...rates, deviceName }
  } finally {
    made.dispose()
  }
}

const stage = stageOf(process.argv.slice(2), {
  group: { type: 'string', default: 'rows' },
  list: { type: 'boolean' },
})
const group = String(stage.own['group']) as Group
const cases = casesOf(group, stage.quick)
if (stage.own['list']) {
  console.log(JSON.stringify(cases, null, 1))
} else {
  setDefaultDevice(stage.device)
  seed(1)
  const results = stage.results<KernelRow>('heddle')
  const run = (
    some: readonly KernelCase[],
    given: { only: string; again?: boolean; copyGbPerS?: number | undefined },
  ) =>
    runCases({ ...stage, only: given.only }, results, some, {
      seconds: SECONDS_PER_CASE,
      again: given.again ?? false,
      measure: async (subject) => ({
        ...(await measure(subject, stage)),
        ...(given.copyGbPerS !== undefined && { copyGbPerS: given.copyGbPerS }),
      }),
      told: (row) => told(row, ['ms', 'gbPerS', 'tflops', 'replayed']),
    })
  const [copies, others] = [true, false].map((wanted) => cases.filter(({ kind }) => (kind === 'copy') === wanted)) as [
    KernelCase[],
    KernelCase[],
  ]
  // Bandwidths are held against a copy of the same session: where one is measured, so is the copy.
  const again = others.some(({ case: name }) => name.includes(stage.only) && !results.has(name))
  const code = await run(copies, { only: '', again })
  const copyGbPerS = results.rows.find(({ case: name }) => name.startsWith('copy '))?.gbPerS
  process.exitCode = Math.max(code, await run(others, { only: stage.only, copyGbPerS }))
}
