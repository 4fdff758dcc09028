// Fills prebuilds/ with what the package ships for this machine: prebuildify over what CMake has built.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import prebuildify from 'prebuildify'
import { checkPrebuilds } from './check-prebuilds.mjs'
import { root } from './wheels.mjs'

// prebuildify moves the addon out of `build/Release`, so it works on a folder that scripts/gather-native.mjs fills; that
// script stands in node-gyp's place, which would want Node's headers and empty `build/`.
const work = join(root, '.package/native')
const platform = `${process.platform}-${process.arch}`

rmSync(work, { recursive: true, force: true })
rmSync(join(root, 'prebuilds', platform), { recursive: true, force: true })
mkdirSync(work, { recursive: true })
writeFileSync(join(work, 'package.json'), '{ "name": "heddle" }\n')

await new Promise((done, failed) =>
  prebuildify(
    {
      cwd: work,
      out: root,
      napi: true,
      // An addon for glibc is not even tried on a system with another C library.
      tagLibc: process.platform === 'linux' && process.report.getReport().header.glibcVersionRuntime ? 'glibc' : false,
      nodeGyp: `"${process.execPath}" "${join(root, 'scripts/gather-native.mjs')}"`,
      shell: true,
    },
    (error) => (error ? failed(error) : done()),
  ),
)
if (process.platform === 'linux') checkPrebuilds(join(root, 'prebuilds', platform))
