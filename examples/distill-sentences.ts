// A sentence encoder of three layers, distilled from all-MiniLM-L6-v2 (six layers): how well it ranks held-out sentences by
// similarity as its teacher does, and in what time. Its sentences are documentation's; no human has judged their similarity,
// so the measure is Spearman's correlation of the two models' cosines over all pairs.
//   node dist/examples/distill-sentences.js [--full] [--json F]
import { bucketSampler, DataLoader } from '../lib/data/index.js'
import { distill, dropLayers, hiddenLoss, narrow } from '../lib/distill/index.js'
import { add, mul, optim, schedule, type Tensor } from '../lib/index.js'
import { type BertModel, SentenceEncoder } from '../lib/models/index.js'
import { full, report } from './example.js'
import {
  documentationSentences,
  embeddingTimes,
  mixedSentences,
  packageSentences,
  rankCorrelation,
  sentenceTeacher,
} from './sentences.js'

const texts = documentationSentences()
const heldOut = texts.slice(0, full ? 400 : 40)
const learnt = full
  ? [...new Set([...texts, ...packageSentences()])].filter((text) => !heldOut.includes(text))
  : texts.slice(heldOut.length, heldOut.length + 160)
const { teacher, name } = await sentenceTeacher(texts)
const { tokenizer, pooling, normalize, maxLength, model: deep } = teacher
// What is learnt is a value for each token, which dropout would only blur.
const config = { hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 }
const shallow = await dropLayers(deep as BertModel, [0, 3, 5], { config })
const model = await narrow(shallow, { inner: (5 / 6) * Number(shallow.config['intermediate_size']) })
// Embeddings are means of tokens: nothing goes through the pooler. The table of words is the teacher's and stays so.
model.freeze(['pooler', 'embeddings'])
const student = new SentenceEncoder(model, tokenizer, { pooling, normalize, maxLength })

const expected = await teacher.embed(heldOut)
const before = rankCorrelation(await student.eval().embed(heldOut), expected)

const tokensOf = (text: string): Int32Array => teacher.tokens(text).slice(0, 32)
const once = learnt.map(tokensOf)
const whole = Array.from({ length: full ? 5 : 2 }, () => once).flat()
// And as many that nobody wrote, of pieces of the kind that the student is for: the teacher says what they mean.
const mixed = mixedSentences(texts.slice(heldOut.length).map(tokensOf), whole.length)
const samples = [...whole, ...mixed].map((tokens) => ({ tokens }))
const lengths = samples.map(({ tokens }) => tokens.length)
const loader = new DataLoader(samples, {
  batchSampler: bucketSampler(lengths, { batchSize: full ? 32 : 16 }),
  pad: { tokens: { multipleOf: 8, mask: 'mask' } },
  dtypes: { tokens: 'i32' },
})
const peak = schedule.warmupCosine({ peak: 1e-3, warmup: full ? 50 : 5 })
await distill(student, teacher, loader, {
  forward: (encoder: SentenceEncoder, { tokens, mask }: { tokens: Tensor; mask: Tensor }) => ({
    embedding: encoder.forward(tokens, mask),
    // Computed once: in one step, what is asked for twice is the same.
    last: encoder.model.forward(tokens, { mask }).lastHiddenState,
  }),
  loss: (mine, [theirs], { mask }) =>
    add(
      // Of embeddings of length 1, 2 - 2 times the cosine.
      mul(hiddenLoss(mine.embedding, theirs.embedding), mine.embedding.shape[1] as number),
      mul(hiddenLoss(mine.last, theirs.last, { mask }), 5),
    ),
  optimizer: (parameters) => new optim.AdamW(parameters, { lr: peak }),
  epochs: 1,
})

const after = rankCorrelation(await student.eval().embed(heldOut), expected)
const [teacherMs, studentMs] = await embeddingTimes([teacher, student], heldOut, full ? 15 : 2)
report({
  teacher: name,
  'sentences learnt from': learnt.length,
  'held-out pairs': (heldOut.length * (heldOut.length - 1)) / 2,
  'rank correlation before': before,
  'rank correlation kept': after,
  'time, share of the teacher': studentMs / teacherMs,
  teacherMs,
  studentMs,
})
