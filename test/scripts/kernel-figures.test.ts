// The figures of kernels are read from the compiler's own words, and what spills is told apart from what may.
import { describe, expect, it } from 'vitest'
import { script } from './script.js'

interface Figures {
  registers: number | null
  shared: number
  stack: number
  spillStores: number
  spillLoads: number
}
interface Kernel {
  source: string
  name: string
  architectures: Record<string, Figures>
}
interface Pattern {
  pattern: string
  matches(name: string): boolean
}

const { parsePtxasLog } = await script<{
  parsePtxasLog(text: string): (Figures & { symbol: string; architecture: string; kernel: boolean })[]
}>('ptxas-log.mjs')
const { patternOf, spillFailures } = await script<{
  patternOf(pattern: string): Pattern
  spillFailures(kernels: Kernel[], meant: Pattern[], complete: boolean): string[]
}>('kernel-figures.mjs')

// As ptxas 13.0 writes it: one kernel that keeps all in registers, one that spills and calls a function.
const LOG = `ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z3rowPf' for 'sm_80'
ptxas info    : Function properties for _Z3rowPf
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 31 registers, used 1 barriers, 1024 bytes smem, 376 bytes cmem[0]
ptxas info    : Compile time = 9.721 ms
ptxas info    : Compiling entry function '_Z4widePf' for 'sm_90a'
ptxas info    : Function properties for _Z4widePf
    280 bytes stack frame, 548 bytes spill stores, 588 bytes spill loads
ptxas info    : Used 64 registers, used 0 barriers, 280 bytes cumulative stack size
ptxas info    : Function properties for _Z4calliPf
    80 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
`

const quiet: Figures = { registers: 32, shared: 0, stack: 0, spillStores: 0, spillLoads: 0 }
const spilling: Figures = { ...quiet, stack: 16, spillStores: 8, spillLoads: 12 }
const softmax: Kernel = {
  source: 'softmax.cu',
  name: 'softmax<float>',
  architectures: { sm_80: quiet, sm_75: spilling },
}

describe('the log of ptxas', () => {
  it('gives the figures of each kernel and of what it calls', () => {
    const found = parsePtxasLog(LOG)
    expect(found).toEqual([
      { ...quiet, symbol: '_Z3rowPf', architecture: 'sm_80', kernel: true, registers: 31, shared: 1024 },
      {
        ...{ symbol: '_Z4widePf', architecture: 'sm_90a', kernel: true, registers: 64, shared: 0 },
        ...{ stack: 280, spillStores: 548, spillLoads: 588 },
      },
      { ...quiet, symbol: '_Z4calliPf', architecture: 'sm_90a', kernel: false, registers: null, stack: 80 },
    ])
  })

  it('is not believed where a line is missing', () => {
    expect(() => parsePtxasLog(LOG.replace(/.*Used 64.*\n/, ''))).toThrow('no figures of _Z4widePf for sm_90a')
    expect(() => parsePtxasLog(LOG.replace(/.*280 bytes stack.*spill.*\n/, ''))).toThrow('no figures of _Z4widePf')
  })
})

describe('spills', () => {
  it('fail with the architecture, unless a pattern of the list matches the whole name', () => {
    expect(spillFailures([softmax], [], true)).toEqual([expect.stringMatching(/softmax<float>.* 8 bytes on sm_75/)])
    expect(spillFailures([softmax], [patternOf('softmax')], false)).toHaveLength(1)
    expect(spillFailures([softmax], [patternOf('soft*<float>')], true)).toEqual([])
  })

  it('that are listed and gone fail where every architecture was built', () => {
    const gone = { ...softmax, architectures: { sm_80: quiet } }
    expect(spillFailures([gone], [patternOf('softmax*')], true)).toEqual([expect.stringContaining("'softmax*'")])
    expect(spillFailures([gone], [patternOf('softmax*')], false)).toEqual([])
  })
})
