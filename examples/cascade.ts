// A student answers what it is sure of, its teacher the rest: the teacher's accuracy at a fraction of its cost.
//   node dist/examples/cascade.js [--full] [--json F]
import { cascade } from '../lib/distill/index.js'
import { accuracyOf, distilled, dtypes, forward, parts, trainedTeacher } from './digitPair.js'
import { full, report, spread } from './example.js'

const testLabels = (await parts.test.toArray()).map(({ label }) => label)
async function measured(run: number) {
  const large = await trainedTeacher(run)
  const small = await distilled(run, large)
  const pair = await cascade({
    small,
    large,
    forward,
    dtypes,
    heldOut: parts.heldOut,
    label: ({ label }) => label,
    target: { below: 0 },
  })
  const { classes, counts, costShare } = await pair.predict(parts.test)
  const accuracy = classes.filter((one, i) => one === testLabels[i]).length / testLabels.length
  return {
    teacherAccuracy: await accuracyOf(large),
    studentAccuracy: await accuracyOf(small),
    accuracy,
    bySmall: counts.small / testLabels.length,
    costShare,
    threshold: pair.threshold,
    temperatures: [pair.calibration.small.temperature, pair.calibration.large.temperature],
  }
}

const runs: Awaited<ReturnType<typeof measured>>[] = []
for (let run = 0; run < (full ? 5 : 1); run++) runs.push(await measured(run))

const percent = (of: (one: (typeof runs)[number]) => number) => spread(runs.map((one) => 100 * of(one)))
report({
  seeds: runs.length,
  'teacher, % right': percent((one) => one.teacherAccuracy),
  'student, % right': percent((one) => one.studentAccuracy),
  'cascade, % right': percent((one) => one.accuracy),
  'points below the teacher': percent((one) => one.teacherAccuracy - one.accuracy),
  '% answered by the student': percent((one) => one.bySmall),
  'cost, % of the teacher alone': percent((one) => one.costShare),
  runs,
})
