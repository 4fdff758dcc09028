// A sentence encoder of three layers, distilled from all-MiniLM-L6-v2 (six layers): how well it ranks held-out sentences by
// similarity as its teacher does, and in what time. Its sentences are documentation's; no human has judged their similarity,
// so the measure is Spearman's correlation of the two models' cosines over all pairs.
//   node dist/examples/distill-sentences.js [--full] [--json F]
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DataLoader } from '../lib/data/index.js'
import { cacheTeacher, distill, dropLayers, hiddenLoss } from '../lib/distill/index.js'
import { mul, optim, schedule, type Tensor } from '../lib/index.js'
import { type BertModel, SentenceEncoder } from '../lib/models/index.js'
import { full, report } from './example.js'
import { documentationSentences, rankCorrelation, sentenceTeacher } from './sentences.js'

const texts = documentationSentences()
const heldOut = texts.slice(0, full ? 400 : 40)
const learnt = texts.slice(heldOut.length, full ? undefined : heldOut.length + 160)
const { teacher, name } = await sentenceTeacher(texts)
const { tokenizer, pooling, normalize, maxLength } = teacher
const model = await dropLayers(teacher.model as BertModel, [0, 2, 5])
// Embeddings are means of tokens; nothing goes through the pooler.
model.freeze('pooler')
const student = new SentenceEncoder(model, tokenizer, { pooling, normalize, maxLength })

const expected = await teacher.embed(heldOut)
const before = rankCorrelation(await student.eval().embed(heldOut), expected)

const samples = learnt.map((text) => ({ tokens: teacher.tokens(text).slice(0, 48) }))
const rules = { pad: { tokens: { multipleOf: 16, mask: 'mask' as const } }, dtypes: { tokens: 'i32' as const } }
const forward = (encoder: SentenceEncoder, { tokens, mask }: { tokens: Tensor; mask: Tensor }): Tensor =>
  encoder.forward(tokens, mask)
const folder = mkdtempSync(join(tmpdir(), 'heddle-teacher-'))
const cache = await cacheTeacher(teacher, samples, { folder, forward, ...rules })
try {
  await distill(student, cache, new DataLoader(cache, { batchSize: 32, shuffle: true, ...rules }), {
    forward,
    // Of embeddings of length 1, 2 - 2 times the cosine.
    loss: (mine, [theirs]) => mul(hiddenLoss(mine, theirs), mine.shape[1] as number),
    optimizer: (parameters) => new optim.AdamW(parameters, { lr: schedule.warmupCosine({ peak: 3e-4, warmup: 20 }) }),
    epochs: full ? 4 : 1,
  })
} finally {
  await cache.close()
  rmSync(folder, { recursive: true })
}

const after = rankCorrelation(await student.eval().embed(heldOut), expected)
const times: [number[], number[]] = [[], []]
for (let round = 0; round < (full ? 15 : 2); round++)
  for (const [i, encoder] of [teacher, student].entries()) {
    const begun = performance.now()
    await encoder.embed(heldOut)
    times[i]?.push(performance.now() - begun)
  }
const [teacherMs, studentMs] = times.map((list) => list.sort((a, b) => a - b)[list.length >> 1] as number)
report({
  teacher: name,
  'sentences learnt from': learnt.length,
  'held-out pairs': (heldOut.length * (heldOut.length - 1)) / 2,
  'rank correlation before': before,
  'rank correlation kept': after,
  'time, share of the teacher': (studentMs as number) / (teacherMs as number),
  teacherMs,
  studentMs,
})
