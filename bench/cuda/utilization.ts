// The share of the time in which the GPU runs nothing, as the driver samples it.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

const INTERVAL_MS = 100
/** Of both ends; the driver's samples reach up to a second back (NVML, nvmlUtilization_t). */
const LEFT_OUT = 1000 / INTERVAL_MS

/**
 * Runs `work` again and again for `seconds` and gives 1 - utilization, the mean of the samples of `nvidia-smi`
 * (utilization.gpu, "percent of time over the past sample period during which one or more kernels was executing").
 * Undefined where there is no nvidia-smi that says so.
 */
export async function idleShare(work: () => Promise<void>, seconds: number): Promise<number | undefined> {
  const query = ['--query-gpu=utilization.gpu', '--format=csv,noheader,nounits', `--loop-ms=${INTERVAL_MS}`, '-i', '0']
  const sampler = spawn('nvidia-smi', query, { stdio: ['ignore', 'pipe', 'ignore'] })
  const samples: number[] = []
  // Where there is no such program, there are no samples.
  const ended = new Promise<void>((resolve) => sampler.on('error', () => resolve()).on('close', () => resolve()))
  createInterface({ input: sampler.stdout }).on('line', (line) => samples.push(Number(line)))
  const end = performance.now() + seconds * 1000
  while (performance.now() < end) await work()
  sampler.kill()
  await ended
  const kept = samples.slice(LEFT_OUT, -LEFT_OUT)
  if (kept.length === 0 || kept.some((sample) => !Number.isFinite(sample))) return undefined
  return 1 - kept.reduce((sum, sample) => sum + sample, 0) / kept.length / 100
}
