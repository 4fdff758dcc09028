// Progress: what it draws in a terminal and elsewhere.
import { EventEmitter } from 'node:events'
import type { WriteStream } from 'node:tty'
import { describe, expect, it } from 'vitest'
import { formatDuration, formatRate, Progress } from '../../lib/train/progress.js'

const ESCAPE = '\x1b'

function recorder(terminal: boolean, columns = 80) {
  let written = ''
  const emitter = new EventEmitter()
  return {
    stream: Object.assign(emitter, {
      write(text: string) {
        written += text
        return true
      },
      isTTY: terminal,
      columns,
    }) as unknown as WriteStream,
    text: () => written,
    emitter,
  }
}

/** What stands in a terminal after what was written: it knows the few sequences that progress writes. */
function screen(written: string): string[] {
  const lines = ['']
  let row = 0
  for (const [token] of written.matchAll(new RegExp(`${ESCAPE}\\[\\d*[A-Z]|[^]`, 'gu'))) {
    if (token === '\n') lines[++row] ??= ''
    else if (token === '\r') continue
    else if (token === '\x1b[2K') lines[row] = ''
    else if (token === '\x1b[J') lines.splice(row, Number.POSITIVE_INFINITY, '')
    else if (token.endsWith('A')) row -= Number(token.slice(2, -1))
    else lines[row] += token
  }
  return lines
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
    expect(lines[0]).toBe('1/100  loss 1.5  1 steps/s  1s, 1m39s left')
    expect(lines).toHaveLength(11)
    expect(lines.at(-1)).toBe('100/100  loss 1.5  1 steps/s  1m40s, 0s left')
  })

  it('redraws one line in a terminal', () => {
    const { stream, text } = recorder(true)
    let clock = 0
    const progress = new Progress({ total: 4, stream, now: () => clock })
    clock = 5000
    progress.update(2)
    expect(text().startsWith('\r\u001b[2K▕')).toBe(true)
    expect(text()).toMatch(/▕█+▌? +▏ 2\/4 {2}0\.4 steps\/s {2}5s, 5s left$/)
    progress.finish()
    expect(text().endsWith('\n')).toBe(true)
  })

  it('counts what a step has, from where the run went on', () => {
    const { stream, text } = recorder(false)
    let clock = 0
    const progress = new Progress({
      total: 2000,
      start: 1000,
      rate: { unit: 'samples', perStep: 128 },
      stream,
      now: () => clock,
    })
    clock = 20_000
    progress.update(1500)
    expect(text()).toBe('1500/2000  3.2k samples/s  20s, 20s left\n')
  })

  it('follows the rate of the last drawings', () => {
    const { stream, text } = recorder(true)
    let clock = 0
    const progress = new Progress({ total: 1000, stream, now: () => clock })
    for (let step = 1; step <= 200; step++) {
      clock += step <= 100 ? 10_000 : 500
      progress.update(step)
    }
    expect(text()).toMatch(/200\/1000 {2}2 steps\/s {2}17m30s, /)
    expect(text().includes('0.1 steps/s')).toBe(true)
  })

  it.each([120, 80, 60, 40, 30, 24, 16, 5, 1])('never fills %i columns', (columns) => {
    const { stream, text } = recorder(true, columns)
    let clock = 0
    const progress = new Progress({ total: 123_456, stream, now: () => clock })
    clock = 90_000
    progress.update(12_345, { loss: '1.2345', accuracy: '0.987', 'läuft 重み\n\x1b[31m': '🧵🧵' })
    const [line = ''] = screen(text())
    expect(line).not.toContain('\x1b')
    const wide = Array.from(line).length + Array.from(line.matchAll(/[重み🧵]/gu)).length
    expect(wide).toBeLessThan(Math.max(2, columns))
    if (columns >= 30) expect(line).toMatch(/^▕.{10,40}▏ 12345\/123456/)
    if (columns >= 120) expect(line).toContain('137 steps/s  1m30s, 13m30s left')
    if (columns >= 60) expect(line).toMatch(/loss [\d.]+/)
  })

  it('cuts facts first, then leaves out the rate, the time taken, the time left', () => {
    const at = (columns: number, facts: Record<string, string>): string => {
      const { stream, text } = recorder(true, columns)
      let clock = 0
      const progress = new Progress({ total: 20, stream, now: () => clock })
      clock = 10_000
      progress.update(10, facts)
      return screen(text())[0]?.replace(/^▕.{10,}▏ /, '') ?? ''
    }
    const facts = { loss: '1.2345', accuracy: '0.987' }
    expect(at(80, facts)).toBe('10/20  loss 1.2345  accuracy 0.987  1 steps/s  10s, 10s left')
    expect(at(66, facts)).toBe('10/20  loss 1.2345  accur…  1 steps/s  10s, 10s left')
    expect(at(60, facts)).toBe('10/20  loss 1.2345…  1 steps/s  10s, 10s left')
    expect(at(48, facts)).toBe('10/20  loss 1.2345…  10s, 10s left')
    expect(at(33, facts)).toBe('10/20  loss 1.2345…')
    expect(at(50, {})).toBe('10/20  1 steps/s  10s, 10s left')
    expect(at(40, {})).toBe('10/20  10s, 10s left')
    expect(at(31, {})).toBe('10/20  10s left')
    expect(at(25, {})).toBe('10/20')
  })

  it('prints notes above the bar, whole', () => {
    const { stream, text } = recorder(true, 40)
    let clock = 0
    const progress = new Progress({ total: 10, stream, now: () => clock })
    progress.note('before it began')
    clock = 1000
    progress.update(1)
    progress.note('out of memory: micro-batches of 16 instead of 32\nsecond\x1b[2Jline')
    clock = 2000
    progress.update(2)
    progress.finish()
    const lines = screen(text())
    expect(lines.slice(0, 3)).toEqual([
      'before it began',
      'out of memory: micro-batches of 16 instead of 32',
      'second [2Jline',
    ])
    expect(lines[3]).toMatch(/^▕.+▏ 2\/10/)
    expect(lines.slice(4)).toEqual([''])

    const pipe = recorder(false)
    new Progress({ total: 10, stream: pipe.stream }).note('a\nb')
    expect(pipe.text()).toBe('a\nb\n')
  })

  it('follows the width of its window, and takes away what a narrower one has broken over lines', () => {
    const { stream, text, emitter } = recorder(true, 100)
    let clock = 0
    const progress = new Progress({ total: 10, stream, now: () => clock })
    clock = 1000
    progress.update(5, { loss: '1.25', accuracy: '0.987654321' })
    const wide = screen(text())[0]?.length ?? 0
    expect(wide).toBeGreaterThan(80)
    const before = text().length
    stream.columns = 30
    emitter.emit('resize')
    const [cleared, drawn] = text().slice(before).split(`\r${ESCAPE}[J`)
    expect(cleared).toBe(`${ESCAPE}[${Math.ceil(wide / 30) - 1}A`)
    expect(drawn).toMatch(/^▕/)
    expect(drawn?.length).toBeLessThan(30)
    progress.finish()
    expect(emitter.listenerCount('resize')).toBe(0)
  })

  it('tells durations as people do', () => {
    expect([59, 185, 7440, Number.POSITIVE_INFINITY].map(formatDuration)).toEqual(['59s', '3m05s', '2h04m', '-'])
  })

  it('tells rates in three digits', () => {
    const rates = [0, 0.523, 41.66, 2816, 3_456_789, 0.05, 0.0001, Number.NaN]
    expect(rates.map((rate) => formatRate(rate, 'steps'))).toEqual([
      '0 steps/s',
      '0.523 steps/s',
      '41.7 steps/s',
      '2.82k steps/s',
      '3.46M steps/s',
      '3 steps/min',
      '0.36 steps/h',
      '- steps/s',
    ])
  })

  it('refuses a total that is none', () => {
    expect(() => new Progress({ total: 0 })).toThrow(/total 0/)
  })
})
