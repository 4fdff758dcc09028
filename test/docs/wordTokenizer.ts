// What stands before a page's code where its models need a tokenizer: `words`, and its files in `wordTokenizer`.
export const WORD_TOKENIZER = `
const words = 'the weather is lovely today it so sunny outside once upon a time'.split(' ')
const vocab = Object.fromEntries(['[UNK]', ...words].map((word, i) => [word, i]))
const wordTokenizer = {
  'tokenizer.json': {
    version: '1.0', truncation: null, padding: null, added_tokens: [], normalizer: { type: 'Lowercase' },
    pre_tokenizer: { type: 'Whitespace' }, post_processor: null, decoder: null,
    model: { type: 'WordLevel', vocab, unk_token: '[UNK]' },
  },
  'tokenizer_config.json': {},
}
`
