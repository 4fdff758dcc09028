// What nvcc is asked for: PTX once per family of architectures, and for later GPUs the PTX that most of them take.
import { describe, expect, it } from 'vitest'
import { script } from './script.js'

interface CudaToolkit {
  ARCHITECTURES: readonly string[]
  architectures(text?: string): readonly string[]
  ptxArchitecture(names: readonly string[]): string | undefined
  codeTargets(names: readonly string[]): readonly string[]
}

const { ARCHITECTURES, architectures, ptxArchitecture, codeTargets } = await script<CudaToolkit>('cuda-toolkit.mjs')

describe('the architectures of a CUDA build', () => {
  it('makes the code of a family from one PTX', () => {
    expect(codeTargets(ARCHITECTURES)).toEqual([
      'arch=compute_75,code=[sm_75]',
      'arch=compute_80,code=[sm_80,sm_86,sm_89]',
      'arch=compute_90a,code=[sm_90a]',
      'arch=compute_100,code=[sm_100,sm_120,compute_100]',
    ])
  })

  it('takes the first that is there where a family is not whole', () => {
    expect(codeTargets(['86', '89', '120'])).toEqual([
      'arch=compute_86,code=[sm_86,sm_89]',
      'arch=compute_120,code=[sm_120,compute_120]',
    ])
  })

  it('has no PTX of code for one generation alone', () => {
    expect(codeTargets(['90a'])).toEqual(['arch=compute_90a,code=[sm_90a]'])
    expect(ptxArchitecture(['90a'])).toBeUndefined()
  })

  it('keeps PTX of the newest that later ones run', () => {
    expect(ptxArchitecture(ARCHITECTURES)).toBe('100')
    expect(codeTargets(['80', '90a'])).toEqual([
      'arch=compute_80,code=[sm_80,compute_80]',
      'arch=compute_90a,code=[sm_90a]',
    ])
  })

  it('turns down what is no compute capability', () => {
    expect(() => architectures('80;volta')).toThrow("expected compute capabilities such as 80;90a, got 'volta'")
  })
})
