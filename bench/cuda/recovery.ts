// Out of memory in the middle of training: it is told, nothing is lost, and training goes on to the same bits.
import { type Device, OutOfMemoryError, type Tensor, zeros } from '../../lib/index.js'
import { library } from '../../lib/runtime/device.js'
import { benchmark, trainingStep } from '../models.js'

const STEPS = 5
const LARGE_BATCH = 2 ** 15
const BLOCKS = 64

interface Session {
  readonly step: (x: Tensor, y: Tensor) => Promise<Tensor>
  readonly x: Tensor
  readonly y: Tensor
}

/** Something that must end in OutOfMemoryError. */
export type Exhaustion = (device: Device, session: Session) => Promise<void>

/** A limit just above what is held, and a step on a batch that does not fit below it. */
export const limited: Exhaustion = async (device, { step, x }) => {
  const images = zeros([LARGE_BATCH, ...x.shape.slice(1)]).realize()
  const labels = zeros([LARGE_BATCH], { dtype: 'i32' }).realize()
  await device.synchronize()
  device.setMemoryLimit(device.memory().reserved + 2 ** 20)
  try {
    await step(images, labels)
  } finally {
    device.setMemoryLimit(Number.POSITIVE_INFINITY)
  }
}

/** Blocks of a part of the device's memory until it has no more; then they are given back. */
export const exhausted: Exhaustion = async (device) => {
  const { memoryBytes = 0 } =
    library()
      .devices(device.kind)
      .find(({ index }) => index === device.index) ?? {}
  const elements = Math.floor(memoryBytes / BLOCKS / 4)
  const held: Tensor[] = []
  try {
    for (let i = 0; i < BLOCKS + 8; i++) held.push(zeros([elements]).realize())
  } finally {
    for (const tensor of held) tensor.dispose()
    await device.synchronize()
  }
}

async function losses({ step, x, y }: Session): Promise<number[]> {
  const found: number[] = []
  for (let i = 0; i < STEPS; i++) found.push(Number(await (await step(x, y)).item()))
  return found
}

function begin(size: 'full' | 'quick'): Session {
  const subject = benchmark('mlp', size)
  return { step: trainingStep(subject, 'adamw'), x: subject.x, y: subject.y }
}

/**
 * Trains an MLP, runs out of memory, and trains on. Gives the largest difference of its losses from those of a run
 * without that, 0 unless something was lost. Throws where memory did not run out.
 */
export async function recovery(device: Device, exhaustion: Exhaustion, size: 'full' | 'quick'): Promise<number> {
  const calm = begin(size)
  const wanted = [...(await losses(calm)), ...(await losses(calm))]
  const disturbed = begin(size)
  const before = await losses(disturbed)
  const outcome = await exhaustion(device, disturbed).then(
    () => 'it went through',
    (error: Error) => (error instanceof OutOfMemoryError ? '' : error.message),
  )
  if (outcome !== '') throw new Error(`it was to end in OutOfMemoryError, but ${outcome}`)
  const found = [...before, ...(await losses(disturbed))]
  return Math.max(...found.map((loss, i) => Math.abs(loss - (wanted[i] as number))))
}
