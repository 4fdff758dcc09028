// Philox4x32-10 and what is drawn from it in plain JavaScript: what the kernels are compared with.

/** One block: four words from a counter of four words and a key of two (Salmon et al. 2011, figure 2). */
export function philox(counter: readonly number[], key: readonly number[]): number[] {
  let [x0, x1, x2, x3] = counter.map(BigInt) as [bigint, bigint, bigint, bigint]
  let [k0, k1] = key.map(BigInt) as [bigint, bigint]
  const low = (word: bigint): bigint => word & 0xffffffffn
  for (let round = 0; round < 10; round++) {
    const [p0, p1] = [0xd2511f53n * x0, 0xcd9e8d57n * x2]
    ;[x0, x1, x2, x3] = [(p1 >> 32n) ^ x1 ^ k0, low(p1), (p0 >> 32n) ^ x3 ^ k1, low(p0)]
    ;[k0, k1] = [low(k0 + 0x9e3779b9n), low(k1 + 0xbb67ae85n)]
  }
  return [x0, x1, x2, x3].map(Number)
}

const halves = (word: bigint): number[] => [Number(word & 0xffffffffn), Number((word >> 32n) & 0xffffffffn)]

/** The words of `count` blocks from `counter` on. */
export function blocks(seed: bigint, counter: bigint, count: number): number[] {
  return Array.from({ length: count }, (_, i) => philox([...halves(counter + BigInt(i)), 0, 0], halves(seed))).flat()
}

/** f32 uniforms: the upper 24 bits of each word. */
export const uniforms = (seed: bigint, counter: bigint, size: number): number[] =>
  blocks(seed, counter, Math.ceil(size / 4))
    .slice(0, size)
    .map((word) => (word >>> 8) * 2 ** -24)

/** f64 uniforms: 26 bits of each of two words. */
export function wideUniforms(seed: bigint, counter: bigint, size: number): number[] {
  const words = blocks(seed, counter, Math.ceil(size / 2))
  return Array.from(
    { length: size },
    (_, i) => ((words[2 * i] as number) >>> 6) * 2 ** -26 + ((words[2 * i + 1] as number) >>> 6) * 2 ** -52,
  )
}

/** Standard normals of pairs of uniforms (Box and Muller 1958). */
export const normals = (pairs: readonly number[]): number[] =>
  pairs.map((_, i) => {
    const [u, v] = pairs.slice(i - (i % 2), i - (i % 2) + 2) as [number, number]
    const angle = 2 * Math.PI * v
    return Math.sqrt(-2 * Math.log(1 - u)) * (i % 2 === 0 ? Math.cos(angle) : Math.sin(angle))
  })
