// Under a CPU quota of a control group heddle uses as many threads as the quota has processors.
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { project } from './install.js'
import { figures, node, run } from './isolated.js'
import { type Results, Skipped } from './results.js'

const MOUNT = '/sys/fs/cgroup'

/** A group with the quota of one processor, where the kernel lets us make one; and how to remove it. */
function group(): { readonly tasks: string; readonly version: string; readonly remove: () => void } {
  const second = existsSync(join(MOUNT, 'cgroup.controllers'))
  const folder = join(second ? MOUNT : join(MOUNT, 'cpu'), `heddle-test-${process.pid}`)
  try {
    mkdirSync(folder)
    if (second) writeFileSync(join(folder, 'cpu.max'), '100000 100000')
    else writeFileSync(join(folder, 'cpu.cfs_quota_us'), readFileSync(join(folder, 'cpu.cfs_period_us')))
  } catch (error) {
    throw new Skipped(`the kernel lets nobody make a group with a quota here: ${(error as Error).message}`)
  }
  return { tasks: join(folder, 'cgroup.procs'), version: second ? '2' : '1', remove: () => rmdirSync(folder) }
}

export async function checkQuota(results: Results): Promise<void> {
  await results.check('quota', "threads are the quota's", async () => {
    if (availableParallelism() < 2) throw new Skipped('there is one processor here')
    const { tasks, version, remove } = group()
    try {
      const line = [node, join(project, 'esm.mjs')]
      const free = await figures(line, { cwd: project })
      const script = `echo $$ > ${tasks} && exec "$@"`
      const { threads } = await figures(['/bin/sh', '-c', script, 'sh', ...line], { cwd: project })
      if (threads !== 1) throw new Error(`it uses ${String(threads)} threads under a quota of one processor`)
      return { cgroup: version, quota: 1, threads, without: free['threads'] }
    } finally {
      remove()
    }
  })
  // The same as a container sees it, with the file of the other version of control groups.
  await results.check('quota', 'cpu.max as a container has it', async () => {
    if (availableParallelism() < 2) throw new Skipped('there is one processor here')
    const mount = `mount -t tmpfs none ${MOUNT} && echo '150000 100000' > ${MOUNT}/cpu.max`
    const script = `PATH=/usr/sbin:/usr/bin:/sbin:/bin; mount --make-rprivate / && ${mount} && exec "$@"`
    const line = ['/usr/bin/unshare', '-m', '/bin/sh', '-c', script, 'sh', node, join(project, 'esm.mjs')]
    const { status, stdout, stderr } = await run(line, { cwd: project })
    if (/not permitted|denied/.test(stderr)) throw new Skipped(`mounting is not permitted here: ${stderr.trim()}`)
    if (status !== 0) throw new Error(stderr)
    const { threads } = JSON.parse(stdout) as { threads: number }
    if (threads !== 1) throw new Error(`it uses ${threads} threads under a quota of one and a half processors`)
    return { threads }
  })
}
