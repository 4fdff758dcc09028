// Progress: what it draws in a terminal and elsewhere.
import { describe, expect, it } from 'vitest'
import { formatDuration, Progress } from '../../lib/train/progress.js'

function recorder(terminal: boolean): {
  stream: { write(text: string): boolean; isTTY: boolean; columns: number }
  text: () => string
} {
  let written = ''
  return {
    stream: {
      write(text) {
        written += text
        return true
      },
      isTTY: terminal,
      columns: 80,
    },
    text: () => written,
  }
}

describe('progress', () => {
  it('writes plain lines now and then where there is no terminal', () => {
    const { stream, text } = recorder(false)
    let clock = 0
    const progress = new Progress({ total: 100, stream, now: () => clock })
    for (let step = 1; step <= 100; step++) {
      clock += 1000
      progress.update(step, { loss: '1.5' })
    }
    const lines = text().trim().split('\n')
    expect(lines[0]).toBe('1/100  loss 1.5  1m39s left')
    expect(lines).toHaveLength(11)
    expect(lines.at(-1)).toBe('100/100  loss 1.5  0s left')
  })

  it('redraws one line in a terminal', () => {
    const { stream, text } = recorder(true)
    let clock = 0
    const progress = new Progress({ total: 4, stream, now: () => clock })
    clock = 5000
    progress.update(2)
    expect(text().startsWith('\r\u001b[2K▕')).toBe(true)
    expect(text()).toMatch(/▕█+ +▏ 2\/4 {2}5s left$/)
    progress.finish()
    expect(text().endsWith('\n')).toBe(true)
  })

  it('tells durations as people do', () => {
    expect([59, 185, 7440, Number.POSITIVE_INFINITY].map(formatDuration)).toEqual(['59s', '3m05s', '2h04m', '-'])
  })

  it('refuses a total that is none', () => {
    expect(() => new Progress({ total: 0 })).toThrow(/total 0/)
  })
})
