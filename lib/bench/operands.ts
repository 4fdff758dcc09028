// Random operands of any size, drawn on the device, and the sizes of the caches.
import { readFileSync } from 'node:fs'
import type { OperandSpec } from '../cases/case.js'
import { cast, compile, type DType, floor, type Generator, randomUniform, type Tensor } from '../index.js'

/** A tensor as the case wants it, in memory. Distances between values (`apart`) only matter where derivatives are compared. */
export async function drawn(spec: OperandSpec, dtype: DType, generator: Generator): Promise<Tensor> {
  const { shape, low = -2, high = 2, integers = false } = spec
  const wanted = spec.dtype ?? dtype
  const make = compile(
    () => {
      const values = randomUniform(shape, { low, high, generator })
      const whole = integers || wanted === 'i32' || wanted === 'i64' || wanted === 'i8' || wanted === 'u8'
      return cast(whole ? floor(values) : values, wanted)
    },
    { name: 'random operand' },
  )
  return make()
}

const MEBI = 2 ** 20

/** Bytes of a processor's cache of a level, as Linux tells. */
function cacheBytesAt(level: 2 | 3, otherwise: number): number {
  try {
    const text = readFileSync(`/sys/devices/system/cpu/cpu0/cache/index${level}/size`, 'utf8')
    const [, count, unit] = /^(\d+)([KM])/.exec(text) ?? []
    if (count) return Number(count) * (unit === 'M' ? MEBI : 1024)
  } catch {
    // Not told.
  }
  return otherwise
}

/** Bytes of the largest cache, which all cores share; 32 MiB where Linux does not tell. */
export const largestCacheBytes = (): number => cacheBytesAt(3, 32 * MEBI)

/** Bytes of the largest cache that each core has for itself; 512 KiB where Linux does not tell. */
export const ownCacheBytes = (): number => cacheBytesAt(2, MEBI / 2)
