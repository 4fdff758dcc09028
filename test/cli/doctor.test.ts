// heddle doctor: its words, its JSON and its exit codes.
import { describe, expect, it } from 'vitest'
import type { Diagnosis } from '../../lib/cli/doctor.js'
import { heddle } from './heddle.js'

describe('heddle doctor', () => {
  it('finds the CPU and says why cuda can or can not be used', () => {
    const { status, stdout } = heddle(['doctor', '--json'])
    const diagnosis = JSON.parse(stdout) as Diagnosis
    expect(status).toBe(0)
    expect(diagnosis.addon).toBe('')
    expect(diagnosis.usable).toContain('cpu')
    expect(diagnosis.kinds?.cpu.devices).toMatchObject([{ name: 'cpu', kind: 'cpu' }])
    const cuda = diagnosis.kinds?.cuda
    expect(cuda?.devices.length === 0).toBe(cuda?.error !== '')
    expect(cuda?.library).toMatch(/libheddle-cuda\.so$/)
  })

  it('fails where a required device can not be used, with what to do', () => {
    const { status, stdout } = heddle(['doctor', '--json', '--require', 'cuda'])
    const { usable, advice } = JSON.parse(stdout) as Diagnosis
    expect(status).toBe(usable.includes('cuda') ? 0 : 1)
    expect(advice === '').toBe(usable.includes('cuda'))
  })

  it('says the same to people', () => {
    const { status, stdout } = heddle(['doctor'])
    expect(status).toBe(0)
    expect(stdout).toMatch(/^cpu +ready: /m)
    expect(stdout).toMatch(/^cuda/m)
  })

  it('refuses what it does not know', () => {
    expect(heddle(['doctor', '--require', 'tpu']).status).toBe(2)
    expect(heddle(['doctor', '--loud'])).toMatchObject({ status: 2, stderr: expect.stringContaining("'--loud'") })
    expect(heddle(['heal'])).toMatchObject({ status: 2, stderr: expect.stringContaining("no command 'heal'") })
    expect(heddle([])).toMatchObject({ status: 0, stdout: expect.stringContaining('heddle doctor') })
  })
})
