// Which of several models suits a budget: a teacher, narrower, pruned and int8 ones, and a student, measured side by side.
//   node dist/examples/right-size.js [--full] [--json F]
import { DataLoader } from '../lib/data/index.js'
import { distill, narrow, pruneUnits, quantize, rightSize, taylorScores } from '../lib/distill/index.js'
import { type nn, randomNormal } from '../lib/index.js'
import {
  accuracyOf,
  distilled,
  distillOptions,
  dtypes,
  forward,
  loss,
  makeTeacher,
  parts,
  trainedTeacher,
} from './digitPair.js'
import { full, report } from './example.js'

const teacher = await trainedTeacher(0)
const loader = () => new DataLoader(parts.learn, { batchSize: 64, shuffle: { seed: 1 }, dtypes })
/** What is made smaller learns again from the whole. */
const recovered = async (student: nn.Sequential) =>
  (await distill(student, teacher, loader(), { ...distillOptions(), epochs: full ? 8 : 1 })).model

/** A copy of the teacher in int8. */
async function teacherInInt8(): Promise<nn.Sequential> {
  const copy = makeTeacher()
  copy.loadStateDict(await teacher.stateDict())
  return (await quantize(copy, loader(), { forward, batches: 10 })).model
}

const { table, front, pick } = await rightSize({
  candidates: {
    teacher: () => teacher,
    'half as wide': async () => recovered(await narrow(teacher, 0.5)),
    'pruned by Taylor scores to a quarter': async () =>
      recovered(await pruneUnits(teacher, { share: 0.75, scores: await taylorScores(teacher, loader(), { loss }) })),
    'distilled student': () => distilled(0, teacher),
    'teacher, int8': teacherInInt8,
  },
  evaluate: accuracyOf,
  forward,
  input: { image: randomNormal([16, 1, 28, 28]) },
  budget: { accuracy: full ? 0.97 : 0.8, bytes: 1e6 },
})
report({
  pick: pick?.name,
  front: front.map(({ name }) => name),
  candidates: table.map(({ model: _, ...measured }) => measured),
})
