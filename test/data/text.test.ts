// Text: tokenizers, windows of tokens, augmentation of words and tokens, batches of tokens of several lengths.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import {
  bucketSampler,
  DataError,
  DataLoader,
  dataset,
  deleteWords,
  loadTokenizer,
  maskTokens,
  maskWords,
  Random,
  replaceWords,
  swapWords,
  tokenWindows,
} from '../../lib/data/index.js'

const folder = mkdtempSync(join(tmpdir(), 'heddle-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** WordPiece as BERT's, of a few words. */
const vocab = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'the', 'cat', 'sat', 'un', '##happy', 'on', '.']
const special = (content: string) => ({
  id: vocab.indexOf(content),
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
})
const tokenizerJson = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: vocab.slice(0, 5).map(special),
  normalizer: {
    type: 'BertNormalizer',
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [
      { SpecialToken: { id: '[CLS]', type_id: 0 } },
      { Sequence: { id: 'A', type_id: 0 } },
      { SpecialToken: { id: '[SEP]', type_id: 0 } },
    ],
    pair: [
      { SpecialToken: { id: '[CLS]', type_id: 0 } },
      { Sequence: { id: 'A', type_id: 0 } },
      { SpecialToken: { id: '[SEP]', type_id: 0 } },
      { Sequence: { id: 'B', type_id: 1 } },
      { SpecialToken: { id: '[SEP]', type_id: 1 } },
    ],
    special_tokens: {
      '[CLS]': { id: '[CLS]', ids: [2], tokens: ['[CLS]'] },
      '[SEP]': { id: '[SEP]', ids: [3], tokens: ['[SEP]'] },
    },
  },
  decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  model: {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries(vocab.map((token, id) => [token, id])),
  },
}
mkdirSync(join(folder, 'bert'))
writeFileSync(join(folder, 'bert', 'tokenizer.json'), JSON.stringify(tokenizerJson))
writeFileSync(
  join(folder, 'bert', 'tokenizer_config.json'),
  JSON.stringify({ do_lower_case: true, tokenizer_class: 'BertTokenizer' }),
)

describe('loadTokenizer', () => {
  it('encodes and decodes', async () => {
    const tokenizer = await loadTokenizer(join(folder, 'bert'))
    expect(tokenizer.encode('The unhappy cat sat.')).toEqual(Int32Array.of(2, 5, 8, 9, 6, 7, 11, 3))
    expect(tokenizer.encode('The dog', { specialTokens: false })).toEqual(Int32Array.of(5, 1))
    expect(tokenizer.encode('the', { pair: 'cat' })).toEqual(Int32Array.of(2, 5, 3, 6, 3))
    expect(tokenizer.encode('the the the', { maxLength: 2 })).toEqual(Int32Array.of(2, 5))
    expect(tokenizer.encode('')).toEqual(Int32Array.of(2, 3))
    expect(tokenizer.decode(Int32Array.of(2, 5, 8, 9, 6, 3))).toBe('the unhappy cat')
    expect(tokenizer.decode([2, 5], { specialTokens: true })).toBe('[CLS] the')
    expect([tokenizer.vocabSize, tokenizer.idOf('cat'), tokenizer.idOf('dog'), tokenizer.tokenOf(6)]).toEqual([
      12,
      6,
      undefined,
      'cat',
    ])
    expect((await loadTokenizer(pathToFileURL(join(folder, 'bert', 'tokenizer.json')))).encode('cat')).toEqual(
      Int32Array.of(2, 6, 3),
    )
    expect(() => tokenizer.encode(3 as never)).toThrow('it takes a text, not number 3')
  })

  it('says what is no tokenizer', async () => {
    const failure = async (path: string) => {
      const error = await loadTokenizer(path).catch((error) => error)
      expect(error).toBeInstanceOf(DataError)
      return error
    }
    writeFileSync(join(folder, 'torn.json'), '{"model":')
    writeFileSync(join(folder, 'other.json'), '{"model":{"type":"Nothing"}}')
    expect(await failure(join(folder, 'none'))).toMatchObject({ code: 'unreadable', file: join(folder, 'none') })
    expect(await failure(join(folder, 'torn.json'))).toMatchObject({ code: 'malformed' })
    expect(await failure(join(folder, 'other.json'))).toMatchObject({ code: 'malformed' })
  })

  it('feeds batches that are padded, masked and sorted into buckets', async () => {
    const tokenizer = await loadTokenizer(join(folder, 'bert'))
    const texts = ['the cat', 'the', 'the cat sat on the cat', 'sat on the cat'].map((text) => ({ text }))
    const encoded = dataset(texts).map(({ text }) => ({ text, tokens: tokenizer.encode(text) }))
    const lengths = (await encoded.toArray()).map(({ tokens }) => tokens.length)
    const loader = new DataLoader(encoded, {
      batchSampler: bucketSampler(lengths, { batchSize: 2, shuffle: false }),
      pad: { tokens: { value: 0, mask: 'mask' } },
    })
    const seen: unknown[] = []
    for await (const { text, tokens, mask } of loader) {
      seen.push([text, await tokens.array(), await mask.array()])
    }
    expect(seen).toEqual([
      [
        ['the', 'the cat'],
        [
          [2, 5, 3, 0],
          [2, 5, 6, 3],
        ],
        [
          [true, true, true, false],
          [true, true, true, true],
        ],
      ],
      [
        ['sat on the cat', 'the cat sat on the cat'],
        [
          [2, 7, 10, 5, 6, 3, 0, 0],
          [2, 5, 6, 7, 10, 5, 6, 3],
        ],
        [[true, true, true, true, true, true, false, false], new Array(8).fill(true)],
      ],
    ])
  })
})

describe('tokenWindows', () => {
  it('cuts a row of tokens, each with the one after', async () => {
    const windows = tokenWindows([0, 1, 2, 3, 4, 5, 6], { length: 3 })
    expect(await windows.toArray()).toEqual([
      { tokens: Int32Array.of(0, 1, 2), targets: Int32Array.of(1, 2, 3) },
      { tokens: Int32Array.of(3, 4, 5), targets: Int32Array.of(4, 5, 6) },
    ])
    expect(tokenWindows(new Uint8Array(6), { length: 3 }).length).toBe(1)
    const overlapping = tokenWindows(Uint16Array.of(0, 1, 2, 3, 4, 5, 6), { length: 3, stride: 1 })
    expect(overlapping.length).toBe(4)
    expect(await overlapping.get(3)).toEqual({ tokens: Int32Array.of(3, 4, 5), targets: Int32Array.of(4, 5, 6) })
    expect(() => tokenWindows([1, 2, 3], { length: 3 })).toThrow(
      '3 tokens do not fill a window of 3 and the token after it',
    )
  })
})

describe('augmentation of text', () => {
  const text = 'one two three four five six seven eight nine ten'
  const draws = (transform: (text: string, random: Random) => string, count = 300): string[] =>
    Array.from({ length: count }, (_, index) => transform(text, new Random(1, 'sample', { index })))

  it.each([
    ['deleteWords', deleteWords({ probability: 0.3 })],
    ['swapWords', swapWords({ swaps: 2 })],
    ['replaceWords', replaceWords({ probability: 0.5, by: ['x', 'y'] })],
    ['maskWords', maskWords()],
  ])('%s depends on its random numbers alone', (_, transform) => {
    const made = draws(transform)
    expect(draws(transform)).toEqual(made)
    expect(new Set(made).size).toBeGreaterThan(20)
    expect(transform('', new Random(0))).toBe('')
  })

  it('deletes as many words as asked for, never all', () => {
    const left = draws(deleteWords({ probability: 0.3 })).reduce((sum, made) => sum + made.split(' ').length, 0)
    // Five standard deviations of 3000 draws.
    expect(Math.abs(left - 2100)).toBeLessThan(5 * Math.sqrt(3000 * 0.21))
    expect(new Set(draws(deleteWords({ probability: 1 }))).size).toBe(10)
    expect(deleteWords({ probability: 0 })(text, new Random(0))).toBe(text)
  })

  it('swaps two words, replaces known ones and masks', () => {
    for (const swapped of draws(swapWords(), 50)) {
      expect(swapped.split(' ').sort()).toEqual(text.split(' ').sort())
      expect(swapped.split(' ').filter((word, i) => word !== text.split(' ')[i])).toHaveLength(2)
    }
    const replace = replaceWords({ probability: 1, by: { two: ['2', 'II'], ten: ['10'] } })
    expect(new Set(draws(replace))).toEqual(
      new Set(['2', 'II'].map((two) => `one ${two} three four five six seven eight nine 10`)),
    )
    expect(replaceWords({ probability: 1, by: {} })('constructor Two', new Random(0))).toBe('constructor Two')
    const masked = draws(maskWords({ probability: 0.2, mask: '_' }))
      .join(' ')
      .split(' ')
      .filter((word) => word === '_').length
    expect(Math.abs(masked - 600)).toBeLessThan(5 * Math.sqrt(3000 * 0.16))
  })

  it('masks tokens as BERT does, and labels what is to be found', () => {
    const mask = maskTokens({ mask: 4, vocabSize: 50, special: [0, 1, 2, 3, 4] })
    const source = Int32Array.from({ length: 20_000 }, (_, i) => (i % 10 === 0 ? 2 : 5 + (i % 45)))
    const { tokens, labels } = mask(source, new Random(3))
    let [chosen, masked, other, kept] = [0, 0, 0, 0]
    source.forEach((token, i) => {
      if (labels[i] === -100) return expect(tokens[i]).toBe(token)
      expect(labels[i]).toBe(token)
      expect(token).not.toBe(2)
      chosen++
      if (tokens[i] === 4) masked++
      else if (tokens[i] === token) kept++
      else other++
      expect(tokens[i]).toBeGreaterThan(3)
    })
    const within = (count: number, of: number, p: number) =>
      expect(Math.abs(count - of * p)).toBeLessThan(5 * Math.sqrt(of * p * (1 - p)))
    within(chosen, 18_000, 0.15)
    within(masked, chosen, 0.8)
    within(other, chosen, 0.1 * (44 / 45))
    within(kept, chosen, 0.1 * (46 / 45))
  })
})
