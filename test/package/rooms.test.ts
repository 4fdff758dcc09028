// Every room can be imported by itself: it has an export, and tensors have their methods whichever room came first.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { root } from '../runtime/addon.js'

const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>
}
const targets = Object.entries(exports).flatMap(([subpath, target]) =>
  typeof target === 'string' ? [] : ([[subpath, target]] as const),
)

describe('exports', () => {
  it('has one for every folder with an index, and for every room of the public face', () => {
    const folders = readdirSync(join(root, 'lib')).filter((name) => existsSync(join(root, 'lib', name, 'index.ts')))
    const face = readFileSync(join(root, 'lib/index.ts'), 'utf8').matchAll(/export \* as \w+ from '\.\/(\w+)\.js'/g)
    const rooms = [...folders, ...[...face].map(([, name = '']) => name)]
    expect(rooms.length).toBeGreaterThan(8)
    expect(rooms.filter((room) => !exports[`./${room}`])).toEqual([])
  })

  it.each(targets)('%s has tensors with their methods', (_, target) => {
    expect(target.types).toBe(target.default.replace(/\.js$/, '.d.ts'))
    const address = (file: string): string => JSON.stringify(pathToFileURL(join(root, file)).href)
    const script =
      `import(${address(target.default)}).then(() => import(${address('dist/lib/tensor.js')}))` +
      '.then(({ Tensor }) => console.log(typeof Tensor.prototype.sum))'
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' })
    expect({ stdout, stderr }).toEqual({ stdout: 'function\n', stderr: '' })
  })
})
