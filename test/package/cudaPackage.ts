// The package of the CUDA backend beside heddle: found where it is of the same version, refused where it is not.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packages } from './folders.js'
import { copyOfProject } from './install.js'
import { figures, node } from './isolated.js'
import { type Results, Skipped } from './results.js'

interface Doctor {
  readonly kinds: {
    readonly cuda: { readonly library: string; readonly error: string; readonly libraries: readonly Search[] }
  }
}
interface Search {
  readonly name: string
  readonly places: readonly string[]
}

/** A project with both packages; an optional peer is installed by who wants it. */
function withCuda(name: string): { readonly folder: string; readonly installed: string } {
  const cuda = packages().find((packed) => packed.name === 'heddle-cuda')
  if (!cuda) throw new Skipped('heddle-cuda is not packed: npm run build:cuda, then npm run package')
  const folder = copyOfProject(name)
  const installed = join(folder, 'node_modules/heddle-cuda')
  mkdirSync(installed)
  execFileSync('tar', ['-xzf', cuda.file, '-C', installed, '--strip-components=1'])
  return { folder, installed }
}

const doctor = (folder: string): Promise<Doctor> => {
  const script = `const { spawnSync } = require('node:child_process')
const { stdout } = spawnSync(process.execPath, ['node_modules/heddle/lib/heddle.js', 'doctor', '--json'], { encoding: 'utf8' })
console.log(JSON.stringify(JSON.parse(stdout)))`
  return figures([node, '-e', script], { cwd: folder }) as unknown as Promise<Doctor>
}

export async function checkCudaPackage(results: Results): Promise<void> {
  await results.check('cuda', 'heddle-cuda is found beside heddle', async () => {
    const { folder, installed } = withCuda('cuda')
    const { library, error, libraries } = (await doctor(folder)).kinds.cuda
    if (!library.startsWith(installed)) throw new Error(`the library is looked for at ${library}`)
    if (/no library for it|cannot be loaded/.test(error)) throw new Error(error)
    const cache = libraries.every(({ places }) =>
      places.some((place) => place.endsWith('/.cache/heddle/cuda/13.0/lib')),
    )
    if (!cache || libraries.length === 0) throw new Error('the folder of heddle cuda install is not looked into')
    return { says: error, libraries: libraries.length }
  })
  await results.check('cuda', 'heddle-cuda of another version is refused', async () => {
    const { folder, installed } = withCuda('cuda-other')
    const file = join(installed, 'package.json')
    writeFileSync(file, readFileSync(file, 'utf8').replace(/"version": "[^"]+"/, '"version": "99.0.0"'))
    const { error } = (await doctor(folder)).kinds.cuda
    if (!/^heddle-cuda 99\.0\.0 .* is not of heddle/.test(error)) throw new Error(`it says: ${error}`)
    return { says: error }
  })
  await results.check('cuda', 'its licences are in it', () => {
    const { installed } = withCuda('cuda-licences')
    const there = readdirSync(join(installed, 'licenses'))
    if (!there.includes('CUDA-EULA.txt')) throw new Error(`there are ${there.join(', ')}`)
    return undefined
  })
}
