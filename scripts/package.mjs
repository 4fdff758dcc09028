// Stages the packages into .package/ and packs them: `heddle` with prebuilds/, and `heddle-cuda` where its library is
// built. What is staged has no binding.gyp and no script: npm would run node-gyp for the one and block the other.
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { checkPrebuilds } from './check-prebuilds.mjs'
import { bundle } from './package-javascript.mjs'
import { licenseCuda, licenseNative } from './package-licenses.mjs'
import { root } from './wheels.mjs'

const staged = join(root, '.package')
/** npm's own limit aside, what a user waits for at `npm install`. */
const MOST_MEGABYTES = { heddle: 40, 'heddle-cuda': 100 }

const project = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const { name, version, description, license, engines, repository } = project
const common = { license, engines, ...(repository ? { repository } : {}) }

function fresh(folder, ...files) {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const file of files) copyFileSync(join(root, file), join(folder, basename(file)))
}

const write = (folder, manifest) =>
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)

/** `./data` is the entry `data` of the package, `.` the entry `index`. */
const entryOf = (subpath) => (subpath === '.' ? 'index' : subpath.replace(/^\.\//, '').replaceAll('/', '-'))

/** The exports as packed, and the compiled file behind each entry. */
function rooms() {
  const entries = {}
  const exports = {}
  for (const [subpath, target] of Object.entries(project.exports)) {
    if (typeof target === 'string') {
      exports[subpath] = target
      continue
    }
    const entry = entryOf(subpath)
    entries[entry] = join(root, target.default)
    exports[subpath] = {
      types: target.types.replace('./dist/lib/', './types/'),
      default: `./lib/${entry}.js`,
    }
  }
  return { entries, exports }
}

async function stageMain() {
  const folder = join(staged, name)
  fresh(folder, 'README.md', 'LICENSE')
  const { entries, exports } = rooms()
  const commands = Object.entries(project.bin).map(([command, file]) => [command, basename(file, '.js'), file])
  for (const [, entry, file] of commands) entries[entry] = join(root, file)
  await bundle(join(root, 'dist/lib'), entries, join(folder, 'lib'))
  for (const [, entry] of commands) chmodSync(join(folder, 'lib', `${entry}.js`), 0o755)
  cpSync(join(root, 'dist/lib'), join(folder, 'types'), {
    recursive: true,
    filter: (file) => statSync(file).isDirectory() || file.endsWith('.d.ts'),
  })
  cpSync(join(root, 'prebuilds'), join(folder, 'prebuilds'), { recursive: true })
  licenseNative(join(folder, 'licenses'))
  write(folder, {
    name,
    version,
    description,
    ...common,
    type: 'module',
    exports,
    bin: Object.fromEntries(commands.map(([command, entry]) => [command, `lib/${entry}.js`])),
    dependencies: project.dependencies,
    peerDependencies: { ...project.peerDependencies, 'heddle-cuda': version },
    peerDependenciesMeta: { ...project.peerDependenciesMeta, 'heddle-cuda': { optional: true } },
  })
  return folder
}

function stageCuda() {
  const folder = join(staged, `${name}-cuda`)
  const library = join(root, 'build/Release/libheddle-cuda.so')
  if (!existsSync(library)) return undefined
  fresh(folder, 'LICENSE')
  const platform = `${process.platform}-${process.arch}`
  const target = join(folder, 'prebuilds', platform, basename(library))
  mkdirSync(dirname(target), { recursive: true })
  copyFileSync(library, target)
  execFileSync('strip', ['--strip-unneeded', target])
  checkPrebuilds(dirname(target))
  licenseCuda(join(folder, 'licenses'))
  writeFileSync(
    join(folder, 'README.md'),
    `# heddle-cuda\n\nThe CUDA backend of heddle, which finds it where it is installed beside it in\n` +
      `exactly the same version: \`npm install heddle heddle-cuda\`. NVIDIA's libraries are not in it: \`npx heddle cuda install\`\n` +
      `brings them, or they are taken from the machine; \`npx heddle doctor\` says where each was looked for.\n`,
  )
  write(folder, {
    name: `${name}-cuda`,
    version,
    description: `The CUDA backend of ${name}`,
    ...common,
    os: [process.platform],
    cpu: [process.arch],
    exports: { './package.json': './package.json' },
  })
  return folder
}

function pack(folder) {
  const [made] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--pack-destination', staged], { cwd: folder, encoding: 'utf8' }),
  )
  const megabytes = made.size / 1e6
  console.log(
    `${made.filename}: ${megabytes.toFixed(1)} MB packed, ${(made.unpackedSize / 1e6).toFixed(1)} MB installed, ${made.entryCount} files`,
  )
  const most = MOST_MEGABYTES[made.name]
  if (megabytes > most)
    throw new Error(`${made.filename} has ${megabytes.toFixed(1)} MB packed: at most ${most} may be`)
  return { name: made.name, file: join(staged, made.filename), packed: made.size, unpacked: made.unpackedSize }
}

try {
  mkdirSync(staged, { recursive: true })
  const packages = [await stageMain(), stageCuda()].filter(Boolean).map(pack)
  writeFileSync(join(staged, 'packages.json'), `${JSON.stringify(packages, null, 2)}\n`)
} catch (error) {
  console.error(`The packages could not be made: ${error.message}`)
  process.exit(1)
}
