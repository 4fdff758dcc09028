// Machines that heddle has no addon for: importing works, and the first use says what is missing in one sentence.
import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { copyOfProject, project } from './install.js'
import { figures, node } from './isolated.js'
import { type Results, Skipped } from './results.js'

/** Runs the program that imports and then uses; gives what the error says. */
async function firstUse(
  folder: string,
  preload: string | undefined,
  env: Record<string, string> = {},
): Promise<string> {
  const options = preload ? ['--require', preload] : []
  const { error, name } = await figures([node, ...options, join(folder, 'firstUse.mjs')], { cwd: folder, env })
  if (typeof error !== 'string') throw new Error('it works, though it should say what is missing')
  if (name !== 'DeviceError') throw new Error(`it throws ${String(name)}, not DeviceError: ${error}`)
  if (error.includes('\n')) throw new Error(`it says more than a sentence: ${error}`)
  return error
}

function expectWords(said: string, ...words: readonly (string | RegExp)[]): object {
  for (const word of words)
    if (!(typeof word === 'string' ? said.includes(word) : word.test(said))) throw new Error(`it says: ${said}`)
  return { says: said }
}

/** A module that makes Node say it runs elsewhere. */
function pretend(name: string, platform: string, arch: string, glibc = true): string {
  const file = join(project, `${name}.cjs`)
  writeFileSync(
    file,
    `const os = require('node:os')
Object.defineProperty(process, 'platform', { value: ${JSON.stringify(platform)} })
Object.defineProperty(process, 'arch', { value: ${JSON.stringify(arch)} })
os.platform = () => ${JSON.stringify(platform)}
os.arch = () => ${JSON.stringify(arch)}
${glibc ? '' : "process.report.getReport = () => ({ header: {} })\nprocess.env.LIBC = 'musl'"}
`,
  )
  return file
}

/** Writes a version that no glibc has over one that a library asks for. */
function askForNewerGlibc(library: string): void {
  const bytes = readFileSync(library)
  const at = bytes.indexOf('GLIBC_2.25\0', 0, 'latin1')
  if (at < 0) throw new Error(`${library} does not ask for GLIBC_2.25`)
  bytes.write('GLIBC_2.99', at, 'latin1')
  writeFileSync(library, bytes)
}

export async function checkMachines(results: Results): Promise<void> {
  for (const [platform, arch] of [
    ['win32', 'x64'],
    ['darwin', 'arm64'],
    ['linux', 'arm64'],
  ] as const)
    await results.check('machines', `${platform}-${arch}`, async () =>
      expectWords(
        await firstUse(project, pretend(`${platform}-${arch}`, platform, arch)),
        `${platform}-${arch}`,
        'linux-x64 (glibc)',
      ),
    )
  await results.check('machines', 'linux-x64 with musl', async () =>
    expectWords(await firstUse(project, pretend('musl', 'linux', 'x64', false)), 'no glibc', 'linux-x64 (glibc)'),
  )
  for (const [name, library] of [
    ['the addon', 'heddle.glibc.node'],
    ['the CPU backend', 'libheddle-cpu.so'],
  ] as const)
    await results.check('machines', `a glibc that is too old for ${name}`, async () => {
      const folder = copyOfProject(library)
      askForNewerGlibc(join(folder, 'node_modules/heddle/prebuilds/linux-x64', library))
      return expectWords(await firstUse(folder, undefined), 'needs glibc', 'GLIBC_2.99', /has 2\.\d+/)
    })
  await results.check('machines', 'a processor without SSE4.2, emulated', async () => {
    const emulator = ['/usr/bin/qemu-x86_64', '/usr/bin/qemu-x86_64-static'].find(existsSync)
    if (!emulator) throw new Skipped('qemu-user is not installed, which can play an old processor')
    // Node's compilers make code for the processor there is; --jitless leaves them out.
    const program = [realpathSync(node), '--jitless', join(project, 'firstUse.mjs')]
    const { error } = await figures([emulator, '-cpu', 'core2duo', ...program], { cwd: project, timeout: 300_000 })
    expectWords(String(error), 'SSE4.2 and POPCNT')
    const { works } = await figures([emulator, '-cpu', 'Nehalem', ...program], { cwd: project, timeout: 300_000 })
    if (works !== 3) throw new Error('it does not work on the oldest processor it is for')
    return { says: error }
  })
  await results.check('machines', 'cuda without its package', async () => {
    const script = `import('heddle').then(({ device }) => { try { device('cuda') } catch (error) { console.log(JSON.stringify({ error: error.message })) } })`
    const { error } = await figures([node, '-e', script], { cwd: project })
    return expectWords(String(error), 'npm install heddle-cuda')
  })
}
