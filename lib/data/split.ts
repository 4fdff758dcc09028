// Splits of a dataset into training, validation and test parts: at random, by label, by group, by time, in folds.
import { integerFrom } from '../ops/arguments.js'
import { ArgumentError } from '../runtime/errors.js'
import { type DatasetLike, type IndexedDataset, indexed } from './dataset.js'
import { Random } from './philox.js'

/** Shares by name, above 0; what their sum leaves of 1 goes to no part. */
export type Fractions<K extends string> = Readonly<Record<K, number>>
export type Parts<T, K extends string> = Record<K, IndexedDataset<T>>

type Keys = ArrayLike<string | number | bigint>

function checkFractions(op: string, fractions: Fractions<string>): [string, number][] {
  const shares = Object.entries(fractions)
  const sum = shares.reduce((total, [, share]) => total + share, 0)
  if (shares.length === 0 || shares.some(([, share]) => !(share > 0)) || sum > 1 + 1e-9) {
    throw new ArgumentError(
      `${op}: the fractions ${JSON.stringify(fractions)} must be numbers above 0 that sum to at most 1`,
    )
  }
  return shares
}

/** Where each part ends among `count` in a row: sizes are rounded so that none is off by one or more. */
const ends = (shares: readonly [string, number][], count: number): number[] => {
  let sum = 0
  return shares.map(([, share]) => {
    sum += share
    return Math.min(count, Math.round(sum * count))
  })
}

function keysFor(op: string, name: string, keys: Keys, length: number): (string | number | bigint)[] {
  if (keys.length !== length) throw new ArgumentError(`${op}: there are ${keys.length} ${name} for ${length} samples`)
  return Array.from(keys)
}

function positionsByKey(keys: readonly (string | number | bigint)[]): Map<string | number | bigint, number[]> {
  const positions = new Map<string | number | bigint, number[]>()
  keys.forEach((key, index) => {
    const list = positions.get(key)
    if (list) list.push(index)
    else positions.set(key, [index])
  })
  return positions
}

const partsOf = <T, K extends string>(samples: IndexedDataset<T>, chosen: readonly (readonly [string, number[]])[]) =>
  Object.fromEntries(chosen.map(([name, indices]) => [name, samples.select(indices.sort((a, b) => a - b))])) as Parts<
    T,
    K
  >

/**
 * Random parts, each in the dataset's order; with `stratify`, a label per sample, every part has each label in the same
 * proportion. Throws `ArgumentError`.
 *
 * @example const { train, validation } = split(samples, { train: 0.9, validation: 0.1 }, { seed: 1 })
 */
export function split<T, K extends string>(
  source: DatasetLike<T>,
  fractions: Fractions<K>,
  { seed = 0, stratify }: { readonly seed?: number; readonly stratify?: Keys } = {},
): Parts<T, K> {
  const samples = indexed('split', source)
  const shares = checkFractions('split', fractions)
  const random = new Random(seed)
  const strata = stratify
    ? [...positionsByKey(keysFor('split', 'labels', stratify, samples.length)).values()]
    : [Array.from({ length: samples.length }, (_, i) => i)]
  const chosen = shares.map(([name]) => [name, [] as number[]] as const)
  for (const stratum of strata) {
    const order = random.permutation(stratum.length)
    const limits = ends(shares, stratum.length)
    chosen.forEach(([, indices], part) => {
      for (let i = limits[part - 1] ?? 0; i < (limits[part] as number); i++) {
        indices.push(stratum[order[i] as number] as number)
      }
    })
  }
  return partsOf(samples, chosen)
}

/**
 * Random parts that no group (a patient, a document) is in two of. Sizes are as near to the fractions as whole groups
 * allow, taken in random order. Throws `ArgumentError`.
 */
export function splitByGroup<T, K extends string>(
  source: DatasetLike<T>,
  groups: Keys,
  fractions: Fractions<K>,
  { seed = 0 }: { readonly seed?: number } = {},
): Parts<T, K> {
  const samples = indexed('splitByGroup', source)
  const shares = checkFractions('splitByGroup', fractions)
  const members = [...positionsByKey(keysFor('splitByGroup', 'groups', groups, samples.length)).values()]
  const wanted = shares.map(([, share]) => share * samples.length)
  const chosen = shares.map(([name]) => [name, [] as number[]] as const)
  const all = shares.reduce((sum, [, share]) => sum + share, 0) > 1 - 1e-9
  // Large groups first, where they still fit; equal ones in random order.
  const shuffled = Array.from(new Random(seed).permutation(members.length), (at) => members[at] as number[])
  for (const group of shuffled.sort((a, b) => b.length - a.length)) {
    const lacks = chosen.map(([, indices], part) => (wanted[part] as number) - indices.length)
    const part = lacks.indexOf(Math.max(...lacks))
    if (all || (lacks[part] as number) >= group.length / 2) chosen[part]?.[1].push(...group)
  }
  return partsOf(samples, chosen)
}

/**
 * Parts that follow one another in time, the first named the earliest: nothing of a later part is older than anything of
 * an earlier one, and samples of one time stay together. `times` are numbers (or ISO dates as strings), in any order. What
 * lies within `gap` after the end of the part before is left out. Throws `ArgumentError`.
 */
export function splitByTime<T, K extends string>(
  source: DatasetLike<T>,
  times: ArrayLike<number | bigint | string>,
  fractions: Fractions<K>,
  { gap = 0 }: { readonly gap?: number } = {},
): Parts<T, K> {
  const samples = indexed('splitByTime', source)
  const shares = checkFractions('splitByTime', fractions)
  const at = keysFor('splitByTime', 'times', times, samples.length).map((time, index) => {
    const value = typeof time === 'string' ? Date.parse(time) : Number(time)
    if (Number.isNaN(value)) throw new ArgumentError(`splitByTime: the time ${String(time)} of sample ${index} is none`)
    return value
  })
  const order = Array.from(at, (_, index) => index).sort((a, b) => (at[a] as number) - (at[b] as number) || a - b)
  let start = 0
  let last = Number.NEGATIVE_INFINITY
  const limits = ends(shares, order.length)
  const chosen = shares.map(([name], part) => {
    let end = Math.max(start, limits[part] as number)
    while (end > start && end < order.length && at[order[end] as number] === at[order[end - 1] as number]) end++
    const indices = order.slice(start, end).filter((index) => gap === 0 || (at[index] as number) > last + gap)
    start = end
    if (end > 0) last = at[order[end - 1] as number] as number
    return [name, indices] as const
  })
  return partsOf(samples, chosen)
}

/**
 * `count` pairs of training and validation parts: every sample is in exactly one validation part; with `groups`, so is
 * every group. Throws `ArgumentError`.
 */
export function kFold<T>(
  source: DatasetLike<T>,
  count: number,
  { seed = 0, groups }: { readonly seed?: number; readonly groups?: Keys } = {},
): Parts<T, 'train' | 'validation'>[] {
  const samples = indexed('kFold', source)
  integerFrom('kFold', 'the count', count, 2)
  const keys = groups
    ? keysFor('kFold', 'groups', groups, samples.length)
    : Array.from({ length: samples.length }, (_, i) => i)
  const members = [...positionsByKey(keys).values()]
  if (members.length < count)
    throw new ArgumentError(`kFold: ${members.length} samples or groups do not make ${count} folds`)
  const folds = Array.from({ length: count }, () => [] as number[])
  const shuffled = Array.from(new Random(seed).permutation(members.length), (at) => members[at] as number[])
  for (const group of shuffled.sort((a, b) => b.length - a.length)) {
    folds.reduce((least, fold) => (fold.length < least.length ? fold : least)).push(...group)
  }
  return folds.map((validation, held) =>
    partsOf<T, 'train' | 'validation'>(samples, [
      ['train', folds.flatMap((fold, at) => (at === held ? [] : fold))],
      ['validation', [...validation]],
    ]),
  )
}
