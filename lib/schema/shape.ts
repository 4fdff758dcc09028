// Shapes and strides: pure arithmetic on lists of extents. Imports nothing.

export type Shape = readonly number[]

export const sizeOf = (shape: Shape): number => shape.reduce((size, extent) => size * extent, 1)

/** Row-major strides, in elements. */
export function contiguousStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length)
  let step = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step
    step *= shape[axis] as number
  }
  return strides
}

/** The shape two operands broadcast to (NumPy's rule), or undefined where they do not. */
export function broadcastShapes(a: Shape, b: Shape): Shape | undefined {
  const rank = Math.max(a.length, b.length)
  const result = new Array<number>(rank)
  for (let i = 1; i <= rank; i++) {
    const x = a[a.length - i] ?? 1
    const y = b[b.length - i] ?? 1
    if (x !== y && x !== 1 && y !== 1) return undefined
    result[rank - i] = x === 1 ? y : x
  }
  return result
}

export const sameShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((extent, i) => extent === b[i])

export const formatShape = (shape: Shape): string => `[${shape.join(',')}]`
