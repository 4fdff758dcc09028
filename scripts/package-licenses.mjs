// The licences of what the packages bring along, each with what it covers.
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deps, root, WHEELS } from './wheels.mjs'

const ours = join(root, 'scripts/licenses')

/** Copies each text under its name into `folder`, and writes what they cover. */
function write(folder, about, texts) {
  mkdirSync(folder, { recursive: true })
  for (const [name, source] of Object.entries(texts)) {
    if (!source || !existsSync(source)) throw new Error(`the licence ${name} is not where it should be: ${source}`)
    copyFileSync(source, join(folder, name))
  }
  writeFileSync(join(folder, 'README.md'), about)
}

/** A text from oneDNN's wheel, or of the system's package. */
function oneDnn(name) {
  const places = [join(deps, 'onednn/share/doc'), '/usr/local/share/doc', '/usr/share/doc'].flatMap((folder) =>
    ['onednn', 'dnnl', 'libdnnl3'].map((own) => join(folder, own, name)),
  )
  return places.find(existsSync)
}

const GCC = {
  'GPL-3.0.txt': join(ours, 'GPL-3.0.txt'),
  'GCC-RUNTIME-LIBRARY-EXCEPTION.txt': join(ours, 'GCC-RUNTIME-LIBRARY-EXCEPTION.txt'),
}

/** For the main package: oneDNN, libgomp and the C++ runtime. */
export function licenseNative(folder) {
  write(
    folder,
    `# What is bundled

| file in prebuilds/ | what it is | licence |
| --- | --- | --- |
| \`heddle.glibc.node\`, \`libheddle-cpu.so\` | heddle, with parts of GCC's C++ runtime (libstdc++) inside | Apache-2.0 (\`../LICENSE\`); GPL-3.0 with GCC's Runtime Library Exception |
| \`libdnnl.so.3\` | oneDNN 3 (https://github.com/uxlfoundation/oneDNN) | Apache-2.0: \`oneDNN-LICENSE.txt\`; what is in it: \`oneDNN-THIRD-PARTY-PROGRAMS.txt\` |
| \`libgomp-*.so.1\` | GCC's OpenMP runtime, unchanged but for its name; as the wheel of scikit-learn ${WHEELS['scikit-learn'][0]} on PyPI has it | GPL-3.0 with GCC's Runtime Library Exception: \`GPL-3.0.txt\`, \`GCC-RUNTIME-LIBRARY-EXCEPTION.txt\` |

The sources of GCC's runtime libraries: https://gcc.gnu.org/git/?p=gcc.git;a=tree;f=libgomp and f=libstdc%2B%2B-v3.
`,
    {
      'oneDNN-LICENSE.txt': oneDnn('LICENSE'),
      'oneDNN-THIRD-PARTY-PROGRAMS.txt': oneDnn('THIRD-PARTY-PROGRAMS'),
      ...GCC,
    },
  )
}

/** For the CUDA package: the CUDA runtime that is linked into its library, and the C++ runtime. */
export function licenseCuda(folder) {
  const folders = existsSync(join(deps, 'cuda')) ? readdirSync(join(deps, 'cuda')) : []
  const runtime = folders.find((name) => /^nvidia_cuda_runtime-.*\.dist-info$/.test(name))
  const inWheel = runtime && join(deps, 'cuda', runtime)
  const license = inWheel
    ? readdirSync(inWheel, { recursive: true }).find((name) => /license/i.test(name) && name.endsWith('.txt'))
    : undefined
  const eula = license ? join(inWheel, license) : ['/usr/local/cuda/EULA.txt'].find(existsSync)
  write(
    folder,
    `# What is bundled

| what is in \`libheddle-cuda.so\` | licence |
| --- | --- |
| heddle's CUDA backend | Apache-2.0: \`../LICENSE\` |
| the CUDA runtime, linked statically | NVIDIA's, which lets it be passed on: \`CUDA-EULA.txt\` |
| parts of GCC's C++ runtime (libstdc++) | GPL-3.0 with GCC's Runtime Library Exception |
`,
    { 'CUDA-EULA.txt': eula, ...GCC },
  )
}
