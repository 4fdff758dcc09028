// A student of a thirtieth of its teacher's size reads digits nearly as well, and better than it would have learnt alone.
//   node dist/examples/distill.js [--full] [--json F]
import { accuracyOf, distilled, sizeOf, trainedAlone, trainedTeacher } from './digitPair.js'
import { full, report, spread } from './example.js'

async function measured(run: number) {
  const teacher = await trainedTeacher(run)
  const [alone, student] = [await trainedAlone(run), await distilled(run, teacher)]
  const [teacherAccuracy, aloneAccuracy, studentAccuracy] = [
    await accuracyOf(teacher),
    await accuracyOf(alone),
    await accuracyOf(student),
  ]
  return { teacherAccuracy, aloneAccuracy, studentAccuracy, sizeShare: sizeOf(student) / sizeOf(teacher) }
}

const runs: Awaited<ReturnType<typeof measured>>[] = []
for (let run = 0; run < (full ? 5 : 1); run++) runs.push(await measured(run))

const points = (of: (one: (typeof runs)[number]) => number) => spread(runs.map((one) => 100 * of(one)))
report({
  seeds: runs.length,
  'student size, share of the teacher': runs[0]?.sizeShare,
  'teacher, % right': points((one) => one.teacherAccuracy),
  'student with the teacher, % right': points((one) => one.studentAccuracy),
  'student alone, % right': points((one) => one.aloneAccuracy),
  'points lost to the teacher': points((one) => one.teacherAccuracy - one.studentAccuracy),
  'points won by the teacher': points((one) => one.studentAccuracy - one.aloneAccuracy),
  runs,
})
