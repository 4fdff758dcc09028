// Brings V8's young generation to its full size, so that resident memory which still grows is not V8's.

/**
 * It grows in any program that runs long enough, by tens of megabytes at some moment or other, and never shrinks while
 * it is used. Here objects survive in it for a while.
 */
export function fillYoungGeneration(): void {
  const ring: object[][] = []
  for (let round = 0; round < 2000; round++) {
    ring[round % 16] = Array.from({ length: 2000 }, (_, i) => ({ round, i }))
  }
}
