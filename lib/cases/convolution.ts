// What convolution is, and the convolutions that cases are made of: shapes, strides, padding, gaps, groups.
import type * as h from '../index.js'
import { Dense, forEachIndex } from './case.js'

export interface Geometry {
  readonly stride?: readonly number[]
  readonly padding?: readonly (readonly [number, number])[]
  readonly dilation?: readonly number[]
  readonly groups?: number
}

/** x [N,C,...], w [O,C/groups,...kernel] -> [N,O,...], straight from the definition. */
export function convolve(x: Dense, w: Dense, geometry: Geometry, bias?: Dense): Dense {
  const spatial = x.shape.slice(2)
  const kernel = w.shape.slice(2)
  const of = <T>(list: readonly T[] | undefined, axis: number, otherwise: T): T => list?.[axis] ?? otherwise
  const extents = spatial.map((extent, axis) => {
    const [before, after] = of(geometry.padding, axis, [0, 0])
    const reach = ((kernel[axis] as number) - 1) * of(geometry.dilation, axis, 1) + 1
    return Math.floor((extent + before + after - reach) / of(geometry.stride, axis, 1)) + 1
  })
  const perGroup = w.shape[1] as number
  const outputsPerGroup = (w.shape[0] as number) / (geometry.groups ?? 1)
  return Dense.from([x.shape[0] as number, w.shape[0] as number, ...extents], ([n, o, ...at]) => {
    const first = Math.floor((o as number) / outputsPerGroup) * perGroup
    let sum = bias?.at(o as number) ?? 0
    forEachIndex([perGroup, ...kernel], ([c, ...tap]) => {
      const from = at.map(
        (position, axis) =>
          position * of(geometry.stride, axis, 1) +
          (tap[axis] as number) * of(geometry.dilation, axis, 1) -
          of(geometry.padding, axis, [0, 0])[0],
      )
      if (from.every((position, axis) => position >= 0 && position < (spatial[axis] as number))) {
        sum += x.at(n as number, first + (c as number), ...from) * w.at(o as number, c as number, ...tap)
      }
    })
    return sum
  })
}

type Row = readonly [
  name: string,
  x: readonly number[],
  w: readonly number[],
  options: h.ConvOptions,
  geometry: Geometry,
]

/** Rows, images and weights as they are timed, by what a row is: what its options fix stays. */
export function timedShapes([, x, w, options]: Row): readonly [x: h.Shape, w: h.Shape] {
  const { groups = 1 } = options
  // A convolution of each channel alone has as many channels as groups.
  const channels = groups === x[1] ? groups : 64
  const outputs = groups === x[1] ? (w[0] as number) : 64
  const weight = [outputs, channels / groups, ...w.slice(2)]
  if (x.length === 3) return [[32, channels, 1024], weight]
  return [groups === x[1] ? [64, channels, 224, 224] : [16, channels, 56, 56], weight]
}

export const ROWS: readonly Row[] = [
  ['conv1d', [2, 3, 9], [4, 3, 3], {}, {}],
  [
    'conv1d with stride and padding',
    [2, 2, 10],
    [3, 2, 4],
    { stride: 2, padding: 1 },
    { stride: [2], padding: [[1, 1]] },
  ],
  ['conv1d with dilation', [1, 2, 11], [2, 2, 3], { dilation: 3, padding: 2 }, { dilation: [3], padding: [[2, 2]] }],
  ['conv1d, same', [1, 2, 7], [3, 2, 4], { stride: 2, padding: 'same' }, { stride: [2], padding: [[1, 2]] }],
  ['conv2d', [2, 3, 5, 6], [4, 3, 3, 2], {}, {}],
  ['conv2d of points', [2, 4, 3, 3], [5, 4, 1, 1], {}, {}],
  [
    'conv2d with stride and padding',
    [2, 2, 7, 6],
    [3, 2, 3, 3],
    { stride: [2, 3], padding: [1, 2] },
    {
      stride: [2, 3],
      padding: [
        [1, 1],
        [2, 2],
      ],
    },
  ],
  [
    'conv2d with uneven padding',
    [1, 2, 4, 5],
    [2, 2, 3, 3],
    {
      padding: [
        [0, 2],
        [1, 0],
      ],
    },
    {
      padding: [
        [0, 2],
        [1, 0],
      ],
    },
  ],
  [
    'conv2d with dilation',
    [1, 2, 7, 8],
    [2, 2, 3, 2],
    { dilation: [2, 3], padding: 1 },
    {
      dilation: [2, 3],
      padding: [
        [1, 1],
        [1, 1],
      ],
    },
  ],
  [
    'conv2d with groups',
    [2, 4, 5, 4],
    [6, 2, 3, 3],
    { groups: 2, padding: 1 },
    {
      groups: 2,
      padding: [
        [1, 1],
        [1, 1],
      ],
    },
  ],
  [
    'conv2d of each channel alone',
    [2, 3, 5, 5],
    [6, 1, 3, 3],
    { groups: 3, stride: 2, padding: 1 },
    {
      groups: 3,
      stride: [2, 2],
      padding: [
        [1, 1],
        [1, 1],
      ],
    },
  ],
  ['conv2d where the stride skips the last columns', [1, 1, 6, 8], [2, 1, 2, 2], { stride: 3 }, { stride: [3, 3] }],
]
