// heddle doctor: its words, its JSON and its exit codes, also where a driver crashes, a folder is in the way or CPUs are few.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cacheFolder } from '../../lib/cli/doctor/caches.js'
import type { Diagnosis } from '../../lib/cli/doctor/diagnosis.js'
import { cpuQuota, driver, memoryLimit, processor } from '../../lib/cli/doctor/machine.js'
import { problemsOf } from '../../lib/cli/doctor/problems.js'
import { root } from '../runtime/addon.js'
import { heddle } from './heddle.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heddle-doctor-'))
})
afterAll(() => rm(folder, { recursive: true }))

describe('heddle doctor', () => {
  it('finds the CPU and says why cuda can or can not be used', () => {
    const { status, stdout } = heddle(['doctor', '--json'])
    const diagnosis = JSON.parse(stdout) as Diagnosis
    expect(status).toBe(0)
    expect(diagnosis.addon).toBe('')
    expect(diagnosis.usable).toContain('cpu')
    expect(diagnosis.kinds?.cpu.devices).toMatchObject([{ name: 'cpu', kind: 'cpu' }])
    const cuda = diagnosis.kinds?.cuda
    expect(cuda?.devices.length === 0).toBe(cuda?.error !== '')
    expect(cuda?.library).toMatch(/libheddle-cuda\.so$/)
    expect(diagnosis.kinds?.cpu.checks.map(({ name, passed }) => [name, passed])).toEqual([
      ['matmul', true],
      ['gradient', true],
      ['training step', true],
    ])
    expect(diagnosis.threads.used).toBe(diagnosis.kinds?.cpu.devices[0]?.threads)
    expect(diagnosis.memory.availableBytes).toBeGreaterThan(0)
    expect(diagnosis.driver.places.length).toBeGreaterThan(3)
  })

  it('fails where a required device can not be used, with what to do', () => {
    const { status, stdout } = heddle(['doctor', '--json', '--require', 'cuda'])
    const { usable, advice } = JSON.parse(stdout) as Diagnosis
    expect(status).toBe(usable.includes('cuda') ? 0 : 1)
    expect(advice === '').toBe(usable.includes('cuda'))
  })

  it('says the same to people', () => {
    const { status, stdout } = heddle(['doctor'])
    expect(status).toBe(0)
    expect(stdout).toMatch(/^cpu +ready: /m)
    expect(stdout).toMatch(/^cuda/m)
  })

  it('refuses what it does not know', () => {
    expect(heddle(['doctor', '--require', 'tpu']).status).toBe(2)
    expect(heddle(['doctor', '--loud'])).toMatchObject({ status: 2, stderr: expect.stringContaining("'--loud'") })
    expect(heddle(['heal'])).toMatchObject({ status: 2, stderr: expect.stringContaining("no command 'heal'") })
    expect(heddle([])).toMatchObject({ status: 0, stdout: expect.stringContaining('heddle doctor') })
  })
})

/** Builds one of the libraries that crash; undefined where there is no C compiler. */
function compiled(source: string, target: string, defines: readonly string[]): boolean {
  const file = fileURLToPath(new URL(`./crashing/${source}`, import.meta.url))
  return (
    spawnSync('cc', ['-shared', '-fPIC', ...defines.map((name) => `-D${name}`), '-o', target, file, '-ldl']).status ===
    0
  )
}

describe('heddle doctor with a broken driver', () => {
  const real = join(root, 'build/Release/libheddle-cuda.so')
  const backends = [
    ['a stand-in for the backend', false] as const,
    ...(existsSync(real) ? [['the backend', true] as const] : []),
  ]

  async function broken(how: string, isReal: boolean): Promise<Record<string, string>> {
    const place = join(folder, `${how}-${isReal}`)
    await mkdir(place)
    expect(compiled('driver.c', join(place, 'libcuda.so.1'), [how])).toBe(true)
    if (!isReal) expect(compiled('backend.c', join(place, 'libheddle-cuda.so'), [])).toBe(true)
    return { LD_LIBRARY_PATH: place, HEDDLE_CUDA_EMULATION: isReal ? '' : place }
  }

  for (const [backend, isReal] of backends)
    it.each([
      ['CRASH_ON_LOAD', /SIGSEGV|SIGBUS/],
      ['CRASH_IN_INIT', /SIGABRT/],
    ] as const)(`that does %s, with ${backend}, the child dies and the parent explains`, async (how, signal) => {
      const env = await broken(how, isReal)
      const { status, stdout, stderr } = heddle(['doctor', '--json'], env)
      expect(stderr).toBe('')
      expect(status).toBe(0)
      const diagnosis = JSON.parse(stdout) as Diagnosis
      expect(diagnosis.usable).toEqual(['cpu'])
      expect(diagnosis.kinds?.cuda.crash).toMatch(signal)
      expect(diagnosis.driver.library).toBe(join(env['LD_LIBRARY_PATH'] as string, 'libcuda.so.1'))
      expect(diagnosis.advice).toContain('nvidia-smi')
      expect(diagnosis.problems).toMatchObject([{ fatal: false }])
      expect(heddle(['doctor', '--require', 'cuda'], env).status).toBe(1)
      expect(heddle(['doctor'], env).stdout).toMatch(/^- probing CUDA failed: .*libcuda\.so\.1\) is broken$/m)
    })

  it('that never answers, it gives up', async () => {
    const env = await broken('HANG', false)
    const script = `const { probe } = await import(${JSON.stringify(join(root, 'dist/lib/cli/doctor/probe.js'))})
      console.log((await probe('cuda', 3000)).crash)`
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    })
    expect(stdout).toBe('the process that probed it did not answer within 3 seconds\n')
  })
})

/** Files below a folder that stands for `/`. */
async function tree(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  const at = join(folder, name)
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(at, path)), { recursive: true })
    await writeFile(join(at, path), text)
  }
  return at
}

describe('what the doctor reads of the system', () => {
  it('takes the least quota of all groups this process is in', async () => {
    const second = await tree('v2', {
      'proc/self/cgroup': '0::/a.slice/b.scope\n',
      'sys/fs/cgroup/a.slice/cpu.max': '150000 100000\n',
      'sys/fs/cgroup/a.slice/b.scope/cpu.max': 'max 100000\n',
      'sys/fs/cgroup/a.slice/memory.max': '1073741824\n',
    })
    expect(cpuQuota(second)).toEqual({ cpus: 1.5, file: '/sys/fs/cgroup/a.slice/cpu.max' })
    expect(memoryLimit(second, 2 ** 34)).toEqual({ bytes: 2 ** 30, file: '/sys/fs/cgroup/a.slice/memory.max' })
    expect(memoryLimit(second, 2 ** 29)).toBe(null)
    const container = await tree('container', {
      'proc/self/cgroup': '0::/\n',
      'sys/fs/cgroup/cpu.max': '50000 100000\n',
    })
    expect(cpuQuota(container)).toEqual({ cpus: 0.5, file: '/sys/fs/cgroup/cpu.max' })
    const first = await tree('v1', {
      'proc/self/cgroup': '4:memory:/x\n3:cpu,cpuacct:/x\n',
      'sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us': '200000',
      'sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us': '100000',
      'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1',
      'sys/fs/cgroup/memory/x/memory.limit_in_bytes': '4096',
    })
    expect(cpuQuota(first)).toEqual({ cpus: 2, file: '/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us' })
    expect(memoryLimit(first, 2 ** 34)).toMatchObject({ bytes: 4096 })
    expect(cpuQuota(await tree('none', { 'sys/fs/cgroup/cpu.max': 'max 100000\n' }))).toBe(null)
    expect(cpuQuota(join(folder, 'nowhere'))).toBe(null)
  })

  it('says how products of 16 and 8 bits are computed', async () => {
    const flags = await tree('flags', { 'proc/cpuinfo': 'flags\t\t: fpu avx512_bf16 avx512_vnni\n' })
    expect(processor('avx512', flags).paths).toEqual({
      bf16: 'AVX512-BF16',
      f16: 'computed in f32 and rounded',
      int8: 'AVX-512 VNNI',
    })
  })

  it('finds the driver without opening it', async () => {
    const machine = await tree('driver', {
      'usr/lib64/libcuda.so.1': 'not even a library',
      'proc/driver/nvidia/version': 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27\n',
      'dev/nvidia0': '',
      'dev/nvidiactl': '',
      'dev/null': '',
    })
    const found = driver(machine)
    expect(found).toMatchObject({ library: '/usr/lib64/libcuda.so.1', version: '580.65.06' })
    expect([...found.deviceFiles].sort()).toEqual(['/dev/nvidia0', '/dev/nvidiactl'])
  })

  it('says what to do about more threads than a quota allows', async () => {
    const { kinds, driver: none, caches } = JSON.parse(heddle(['doctor', '--json']).stdout) as Diagnosis
    if (!kinds) throw new Error('there is no addon')
    const threads = {
      used: 8,
      processors: 16,
      quota: { cpus: 2.5, file: '/sys/fs/cgroup/cpu.max' },
      OMP_NUM_THREADS: '8',
    }
    const problems = problemsOf({ kinds, missing: [], required: undefined, driver: none, threads, caches })
    expect(problems).toContainEqual({
      problem: '8 threads compute, but /sys/fs/cgroup/cpu.max allows 2.5 CPUs: they will stop and wait for each other',
      advice: 'Set OMP_NUM_THREADS=2, not 8.',
      fatal: false,
    })
  })

  it('tries cache folders, and says what is in the way', async () => {
    await writeFile(join(folder, 'file'), '')
    expect(cacheFolder('x', folder, 'here')).toMatchObject({ exists: true, readable: true, writable: true, error: '' })
    expect(cacheFolder('x', join(folder, 'new/er'), 'here')).toMatchObject({ exists: false, writable: true, error: '' })
    expect(cacheFolder('x', join(folder, 'file'), 'here')).toMatchObject({ writable: false, error: 'it is no folder' })
    expect(cacheFolder('x', join(folder, 'file/in'), 'here')).toMatchObject({
      writable: false,
      error: 'a file is in its way',
    })
    // Nobody writes here, whoever they are.
    expect(cacheFolder('x', '/proc/heddle', 'here')).toMatchObject({ writable: false })
    expect(cacheFolder('x', '/proc/heddle', 'here').error).toMatch(/^\/proc: /)
    const { status, stdout } = heddle(['doctor'], {
      HF_HUB_CACHE: join(folder, 'file/in'),
      HEDDLE_CACHE: join(folder, 'file'),
    })
    expect(status).toBe(0)
    expect(stdout).toMatch(
      /^- the folder for pretrained models, .*can not be used: a file is in its way\n {2}Make .*HF_HUB_CACHE/m,
    )
    expect(stdout).toMatch(/^- the folder for compiled GPU programs, .*: it is no folder\n {2}Make .*HEDDLE_CACHE/m)
  })
})
