// Random operands of any size, drawn on the device.
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
