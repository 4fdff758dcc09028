// Formats the C++ sources with the pinned clang-format; `--check` only reports what is not formatted.
import { execFileSync } from 'node:child_process'
import { program, root, wheels } from './wheels.mjs'

const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', 'native'], {
  cwd: root,
  encoding: 'utf8',
})
const files = listed.split('\n').filter((file) => /\.(cpp|h|cu)$/.test(file) && !file.endsWith('.gen.h'))
const clangFormat = program(wheels('clang-format', ['clang-format']), 'clang_format/data/bin/clang-format')
const mode = process.argv.includes('--check') ? ['--dry-run', '--Werror'] : ['-i']
try {
  execFileSync(clangFormat, [...mode, ...files], { cwd: root, stdio: 'inherit' })
} catch {
  console.error('native sources are not formatted: run npm run format')
  process.exit(1)
}
