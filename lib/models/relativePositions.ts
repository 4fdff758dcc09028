// T5's relative positions: distances in buckets, exact where they are small, logarithmic up to a limit (Raffel et al. 2020).
import { arange } from '../ops/create.js'
import { add, cast, maximum, minimum, sub } from '../ops/element.js'
import { embedding, take } from '../ops/gather.js'
import { permute, unsqueeze } from '../ops/view.js'
import { type Tensor, tensor } from '../tensor.js'

/** The bucket of a distance (key less query); one-sided, keys behind the query share bucket 0. In f32, as the reference rounds. */
export function bucketOf(distance: number, bothSides: boolean, buckets: number, longest: number): number {
  const side = bothSides ? Math.floor(buckets / 2) : buckets
  const start = bothSides && distance > 0 ? side : 0
  const far = bothSides ? Math.abs(distance) : Math.max(0, -distance)
  const exact = Math.floor(side / 2)
  if (far < exact) return start + far
  const share = Math.fround(Math.fround(Math.log(Math.fround(far / exact))) / Math.fround(Math.log(longest / exact)))
  return start + Math.min(side - 1, exact + Math.trunc(Math.fround(share * (side - exact))))
}

/** Buckets by distance from -longest to longest; beyond them nothing changes. */
export class BucketTable {
  private readonly table: Tensor

  constructor(
    bothSides: boolean,
    buckets: number,
    private readonly longest: number,
  ) {
    this.table = tensor(
      Int32Array.from({ length: 2 * longest + 1 }, (_, i) => bucketOf(i - longest, bothSides, buckets, longest)),
    )
  }

  /** What is added to scores: weights [buckets,H] for queries at positions [B,T] or [T] and keys 0 .. `keys`: [B or 1,H,T,keys]. */
  biases(weights: Tensor, queries: Tensor, keys: number): Tensor {
    const { longest } = this
    const rows = cast(queries.rank === 1 ? unsqueeze(queries, 0) : queries, 'i32')
    const distances = sub(arange(keys), unsqueeze(rows, -1))
    const places = add(minimum(maximum(distances, -longest), longest), longest)
    return permute(embedding(weights, take(this.table, places)), [0, 3, 1, 2])
  }
}
