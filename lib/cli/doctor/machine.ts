// What the operating system tells: processor, threads, memory, the quotas on both, and NVIDIA's driver.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { availableParallelism, cpus, freemem, totalmem } from 'node:os'
import { join } from 'node:path'
import type { Driver, Memory, Processor, Threads } from './diagnosis.js'

/** Files are looked for below `root`, so that tests can show another tree. */
const textOf = (root: string, path: string): string => {
  try {
    return readFileSync(join(root, path), 'utf8')
  } catch {
    return ''
  }
}

/** The groups of a controller this process is in, from its own up to what is mounted: folders below `/sys/fs/cgroup`. */
function groupsOf(root: string, controller: string): { second: string[]; first: string[] } {
  const upwards = (mount: string, path: string): string[] => {
    const folders: string[] = []
    for (let at = path; at.length > 1; at = at.slice(0, at.lastIndexOf('/'))) folders.push(mount + at)
    return folders
  }
  const second = ['/sys/fs/cgroup']
  const first = [`/sys/fs/cgroup/${controller}`]
  for (const line of textOf(root, '/proc/self/cgroup').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    if (path === undefined || controllers === undefined) continue
    if (controllers === '') second.push(...upwards('/sys/fs/cgroup', path))
    else if (controllers.split(',').includes(controller)) first.push(...upwards(`/sys/fs/cgroup/${controllers}`, path))
  }
  return { second, first }
}

const numbersOf = (text: string): number[] => text.trim().split(/\s+/).map(Number)

/** The least CPU quota of this process's groups (cgroup v2 `cpu.max`, v1 `cpu.cfs_quota_us`), and its file. */
export function cpuQuota(root = '/'): Threads['quota'] {
  const { second, first } = groupsOf(root, 'cpu')
  const quotas = [
    ...second.map((folder) => {
      const file = `${folder}/cpu.max`
      return { file, values: numbersOf(textOf(root, file)) }
    }),
    ...first.map((folder) => {
      const file = `${folder}/cpu.cfs_quota_us`
      return {
        file,
        values: [...numbersOf(textOf(root, file)), ...numbersOf(textOf(root, `${folder}/cpu.cfs_period_us`))],
      }
    }),
  ].flatMap(({ file, values: [quota = 0, period = 0] }) =>
    // "max", which is no number, and -1 stand for none.
    quota > 0 && period > 0 ? [{ cpus: quota / period, file }] : [],
  )
  return quotas.sort((a, b) => a.cpus - b.cpus)[0] ?? null
}

/** The least memory limit of this process's groups, and its file; one beyond the machine's memory is none. */
export function memoryLimit(root = '/', total = totalmem()): Memory['limit'] {
  const { second, first } = groupsOf(root, 'memory')
  const limits = [
    ...second.map((folder) => `${folder}/memory.max`),
    ...first.map((folder) => `${folder}/memory.limit_in_bytes`),
  ].flatMap((file) => {
    const [bytes = 0] = numbersOf(textOf(root, file))
    return bytes > 0 && bytes < total ? [{ bytes, file }] : []
  })
  return limits.sort((a, b) => a.bytes - b.bytes)[0] ?? null
}

export function memory(root = '/'): Memory {
  const [, kibibytes] = /^MemAvailable:\s+(\d+) kB/m.exec(textOf(root, '/proc/meminfo')) ?? []
  return {
    totalBytes: totalmem(),
    availableBytes: kibibytes === undefined ? freemem() : Number(kibibytes) * 1024,
    limit: memoryLimit(root),
  }
}

export const threads = (used: number): Threads => ({
  used,
  processors: availableParallelism(),
  quota: cpuQuota(),
  OMP_NUM_THREADS: process.env['OMP_NUM_THREADS'] ?? null,
})

/** How oneDNN computes products of 16 and 8 bits here. */
export function processor(instructionSet: string, root = '/'): Processor {
  const [, list = ''] = /^flags\s*:(.*)$/m.exec(textOf(root, '/proc/cpuinfo')) ?? []
  const flags = new Set(list.split(' '))
  const first = (...names: readonly (readonly [flag: string, path: string])[]): string | undefined =>
    names.find(([flag]) => flags.has(flag))?.[1]
  return {
    model: cpus()[0]?.model.trim() ?? 'unknown',
    instructionSet,
    paths: {
      bf16: first(['amx_bf16', 'AMX tiles'], ['avx512_bf16', 'AVX512-BF16']) ?? 'computed in f32 and rounded',
      f16: first(['amx_fp16', 'AMX tiles'], ['avx512_fp16', 'AVX512-FP16']) ?? 'computed in f32 and rounded',
      int8: first(['amx_int8', 'AMX tiles'], ['avx512_vnni', 'AVX-512 VNNI']) ?? 'computed in f32 on the same integers',
    },
  }
}

/** glibc and its version; '' elsewhere. */
export function libc(): string {
  const report = process.report as unknown as { excludeNetwork?: boolean; getReport(): object }
  // Names of addresses would be asked of the network.
  report.excludeNetwork = true
  const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } }
  return header?.glibcVersionRuntime ? `glibc ${header.glibcVersionRuntime}` : ''
}

const DRIVER = 'libcuda.so.1'

/** Where the system's loader looks for NVIDIA's driver, without opening it: what is broken must not be loaded here. */
export function driver(root = '/'): Driver {
  const places = [
    ...(process.env['LD_LIBRARY_PATH'] ?? '').split(':').filter(Boolean),
    '/usr/lib/x86_64-linux-gnu',
    '/usr/lib/aarch64-linux-gnu',
    '/usr/lib64',
    '/usr/lib',
    '/usr/lib/wsl/lib',
    '/usr/local/cuda/compat',
  ]
  const found = places.find((folder) => existsSync(join(root, folder, DRIVER)))
  const [, version = ''] = /Kernel Module\D*([\d.]+)/.exec(textOf(root, '/proc/driver/nvidia/version')) ?? []
  let deviceFiles: string[] = []
  try {
    deviceFiles = readdirSync(join(root, 'dev'))
      .filter((name) => /^(nvidia(\d+|ctl|-uvm)|dxg)$/.test(name))
      .map((name) => `/dev/${name}`)
  } catch {
    // There is no /dev to look at.
  }
  return { library: found === undefined ? '' : join(found, DRIVER), places, version, deviceFiles }
}
