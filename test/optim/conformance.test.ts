// Every case of conformance against what PyTorch and optax said: see conformance/torch.ts, which wrote the reference.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { difference, type Path, TOLERANCE } from '../../conformance/case.js'
import { families } from '../../conformance/cases.js'

interface Reference {
  readonly source: string
  readonly cases: Readonly<Record<string, { readonly peer: string; readonly path: Path }>>
}

describe.each(Object.entries(families))('%s', (family, cases) => {
  const file = new URL(`./reference/${family}.json`, import.meta.url)
  const reference = JSON.parse(readFileSync(file, 'utf8')) as Reference

  it('have a reference each, and none is left over', () => {
    expect(Object.keys(reference.cases)).toEqual(cases.map((subject) => subject.case))
  })

  it.each(cases.map((subject) => [subject.case, subject] as const))('%s', async (name, subject) => {
    const path = await subject.ours()
    const kept = subject.kept ? subject.kept.map((step) => path[step - 1] as readonly number[]) : path
    expect(difference(kept, reference.cases[name]?.path ?? [])).toBeLessThanOrEqual(TOLERANCE)
  })
})
