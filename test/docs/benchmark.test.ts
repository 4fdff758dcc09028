// The commands of docs/benchmark.md, in small form: one case each, at the shapes of its test.
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { heddle } from '../cli/heddle.js'
import { temporaryFolder } from '../io/folder.js'
import { root } from '../runtime/addon.js'

it('every command of docs/benchmark.md runs', { timeout: 300_000 }, async () => {
  const folder = await temporaryFolder()
  const page = await readFile(join(root, 'docs/benchmark.md'), 'utf8')
  const commands = [...page.matchAll(/^npx heddle (bench.*?)(?: +#.*)?$/gm)].map(([, command]) =>
    // Quotes are the shell's.
    [...(command as string).matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? (word as string)),
  )
  expect(commands.length).toBeGreaterThan(7)
  for (const argv of commands) {
    const at = (word: string): string => (/\.(json|html)$/.test(word) ? join(folder, word) : word)
    if (argv.includes('cuda')) continue
    const small = argv.includes('--shape') || argv.includes('--from') ? [] : ['--small']
    const pattern = argv[1] === undefined || argv[1].startsWith('--') ? ['softmax of rows of 72'] : []
    // A name that only one case has stands for a family.
    const words = argv.map((word) =>
      word === 'norm' ? 'rmsNorm of rows of 72' : word === 'softmax' ? 'softmax of one class' : word,
    )
    const { status, stderr } = heddle([...words.map(at), ...pattern, ...small, '--seconds', '0.001'])
    expect(stderr, argv.join(' ')).toBe('')
    // What is timed so shortly may seem slower than it was.
    expect(argv.includes('--baseline') ? [0, 1] : [0]).toContain(status)
    if (argv.includes('--json') && argv.includes('before.json')) {
      const again = heddle(['bench', ...pattern, ...small, '--seconds', '0.001', '--json', at('after.json')])
      expect(again.status).toBe(0)
    }
  }
  expect(existsSync(join(folder, 'now.html'))).toBe(true)
})
