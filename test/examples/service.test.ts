// The examples that serve, with real clients over loopback, and what goes wrong in production.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { Agent, type IncomingMessage, request } from 'node:http'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { temporaryFolder } from '../io/folder.js'
import { programOf, run } from './run.js'

/** Starts an example, and gives what it prints from then on, line by line. */
function start(example: string, ...options: string[]): { child: ChildProcess; lines: AsyncIterator<string> } {
  const child = spawn(process.execPath, [programOf(example), ...options], { stdio: ['ignore', 'pipe', 'inherit'] })
  return { child, lines: createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]() }
}

const PIXELS = Array.from({ length: 784 }, (_, i) => (i % 7) / 7)
const BODY = JSON.stringify({ pixels: PIXELS })

describe('a live service', () => {
  let service: ReturnType<typeof start>
  let port: number

  beforeAll(async () => {
    service = start('service', '0')
    const { value } = await service.lines.next()
    port = Number(new URL(/http\S+/.exec(value as string)?.[0] as string).port)
  }, 120_000)
  afterAll(() => void service.child.kill('SIGKILL'))

  const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`)
  const post = (path: string, body: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      ...init,
    })
  const metric = async (name: string): Promise<number> => {
    const line = (await (await get('/metrics')).text()).split('\n').find((text) => text.startsWith(name))
    return Number(line?.split(' ').at(-1))
  }

  it('answers predictions while it learns and is given new weights', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, async () => (await post('/digits', BODY)).json()))
    for (const { digit, probabilities } of answers as { digit: number; probabilities: number[] }[]) {
      expect(probabilities).toHaveLength(10)
      expect(probabilities[digit]).toBe(Math.max(...probabilities))
      expect(probabilities.reduce((a, b) => a + b)).toBeCloseTo(1, 4)
    }
    while ((await metric('heddle_swaps_total')) < 2) await pause(50)
    expect((await post('/digits', BODY)).status).toBe(200)
    expect((await get('/ready')).status).toBe(200)
    expect((await get('/live')).status).toBe(200)
  })

  it('describes itself', async () => {
    const { openapi, paths } = (await (await get('/openapi.json')).json()) as { openapi: string; paths: object }
    expect(openapi).toMatch(/^3\./)
    expect(Object.keys(paths)).toEqual(expect.arrayContaining(['/digits', '/text', '/metrics', '/ready', '/live']))
  })

  it('writes text as server-sent events', async () => {
    const answer = await post('/text', JSON.stringify({ prompt: 'Once', tokens: 12 }))
    expect(answer.headers.get('content-type')).toBe('text/event-stream')
    const events = (await answer.text()).trim().split('\n\n')
    expect(events).toHaveLength(13)
    for (const event of events.slice(0, 12)) {
      const { token } = JSON.parse(event.replace('data: ', '')) as { token: number }
      expect(token).toBeGreaterThanOrEqual(0)
      expect(token).toBeLessThan(256)
    }
    expect(events[12]).toMatch(/^event: end/)
  })

  it.each<[string, string, string, number]>([
    ['malformed JSON', '/digits', '{"pixels":[', 400],
    ['too few pixels', '/digits', '{"pixels":[1]}', 400],
    ['text for numbers', '/digits', JSON.stringify({ pixels: PIXELS.map(() => 'x') }), 400],
    ['an infinity', '/digits', `{"pixels":[${PIXELS.map(() => '1e999')}]}`, 400],
    ['an oversized body', '/digits', JSON.stringify({ pixels: PIXELS, more: 'x'.repeat(40_000) }), 413],
    ['no prompt', '/text', '{}', 400],
    ['too many tokens', '/text', '{"prompt":"a","tokens":1000}', 400],
    ['no such route', '/letters', '{}', 404],
  ])('refuses %s and goes on', async (_, path, body, status) => {
    const answer = await post(path, body)
    expect(answer.status).toBe(status)
    await answer.text()
    expect((await post('/digits', BODY)).status).toBe(200)
  })

  it('survives bytes that are no HTTP, and half a request', async () => {
    for (const bytes of [
      '\x16\x03\x01 nonsense\r\n\r\n',
      'POST /digits HTTP/1.1\r\ncontent-length: 100\r\n\r\n{"pix',
    ]) {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => undefined)
      socket.write(bytes)
      await pause(20)
      socket.destroy()
    }
    expect((await post('/digits', BODY)).status).toBe(200)
  })

  it('notices clients that go away, and answers the others', async () => {
    const gone = Array.from({ length: 30 }, async () => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => undefined)
      await once(socket, 'connect')
      socket.write(
        `POST /digits HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${BODY.length}\r\n\r\n${BODY}`,
      )
      await pause(1)
      socket.destroy()
    })
    const answered = Array.from({ length: 30 }, async () => (await post('/digits', BODY)).status)
    await Promise.all(gone)
    expect(new Set(await Promise.all(answered))).toEqual(new Set([200]))
    const writing = new AbortController()
    const text = await post('/text', JSON.stringify({ prompt: 'Once', tokens: 100 }), { signal: writing.signal })
    await text.body?.getReader().read()
    writing.abort()
    while ((await metric('heddle_queued_requests')) + (await metric('heddle_running_requests')) > 0) await pause(10)
    expect((await post('/digits', BODY)).status).toBe(200)
  })

  it('answers every request when SIGTERM comes under load, then ends', { timeout: 60_000 }, async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 16 })
    const counts = { answered: 0, refused: 0, lost: 0 }
    const statuses = new Set<number>()
    const one = (): Promise<void> =>
      new Promise((resolve) => {
        const sent = request({
          port,
          host: '127.0.0.1',
          path: '/digits',
          method: 'POST',
          agent,
          headers: { 'content-type': 'application/json', 'content-length': BODY.length },
        })
        sent.on('response', async (response: IncomingMessage) => {
          statuses.add(response.statusCode as number)
          response.resume()
          await once(response, 'end')
          counts.answered++
          resolve()
        })
        sent.on('error', (error: NodeJS.ErrnoException) => {
          // Nobody listens any more: the request was never sent.
          if (error.code === 'ECONNREFUSED') counts.refused++
          else counts.lost++
          resolve()
        })
        sent.end(BODY)
      })
    const load = Promise.all(
      Array.from({ length: 16 }, async () => {
        while (counts.refused === 0 && counts.lost === 0) await one()
      }),
    )
    await pause(300)
    const ended = once(service.child, 'exit')
    service.child.kill('SIGTERM')
    await load
    expect(await ended).toEqual([0, null])
    expect(counts.lost).toBe(0)
    expect(counts.answered).toBeGreaterThan(16)
    for (const status of statuses) expect([200, 503, 504]).toContain(status)
    expect((await service.lines.next()).value).toMatch(/^ends after \d+ steps$/)
  })
})

describe('batch scoring', () => {
  it('scores a Parquet file, goes on where it was stopped, and passes over bad rows', {
    timeout: 120_000,
  }, async () => {
    const folder = await temporaryFolder()
    const [input, whole, part] = ['in.parquet', 'whole.jsonl', 'part.jsonl'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ]
    const pixels = Array.from({ length: 700 }, (_, row) =>
      Array.from({ length: row === 123 ? 5 : 784 }, (_, i) => ((row * i) % 11) / 11),
    )
    await writeFile(input, Buffer.from(parquetWriteBuffer({ columnData: [{ name: 'pixels', data: pixels }] })))
    expect(await run('batch-scoring', input, whole, '--batch', '64')).toMatch(/700 rows are scored/)
    const lines = (await readFile(whole, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, number | string>)
    expect(lines.map(({ row }) => row)).toEqual(pixels.map((_, row) => row))
    expect(lines[123]?.['error']).toMatch(/one sample of shape \[784\]/)
    expect(lines.filter(({ digit }) => Number.isInteger(digit))).toHaveLength(699)
    // As a process that was killed leaves it: some rows, and half a line.
    await writeFile(part, `${(await readFile(whole, 'utf8')).split('\n').slice(0, 200).join('\n')}\n`)
    await appendFile(part, '{"row":200,"dig')
    expect(await run('batch-scoring', input, part, '--batch', '50')).toMatch(/goes on behind row 200 of 700/)
    const again = (await readFile(part, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, number>)
    expect(again.map(({ row, digit }) => [row, digit])).toEqual(lines.map(({ row, digit }) => [row, digit]))
    expect(await run('batch-scoring', input, part)).toMatch(/700 rows are scored/)
  })
})

describe('events', () => {
  it('are read at least once, whatever happens to the connection', { timeout: 120_000 }, async () => {
    const waiting = new Map<string, number[]>(
      Array.from({ length: 300 }, (_, i) => [`event ${i}`, i % 50 === 7 ? [1, 2] : PIXELS] as const),
    )
    const acknowledged = new Map<string, number>()
    const dead = new Map<string, string>()
    let connections = 0
    const broker = createServer((socket: Socket) => {
      connections++
      socket.on('error', () => undefined)
      for (const [id, pixels] of waiting) socket.write(`${JSON.stringify({ id, pixels })}\n`)
      socket.write('no event\n')
      createInterface({ input: socket }).on('line', (line) => {
        const { ack, digit, dead: letter, error } = JSON.parse(line) as Record<string, string>
        if (ack !== undefined) acknowledged.set(ack, Number(digit))
        if (letter !== undefined) dead.set(letter, error as string)
        waiting.delete((ack ?? letter) as string)
        // The first two connections break in the middle.
        if (connections < 3 && (acknowledged.size + dead.size) % 100 === 0) socket.destroy()
      })
    })
    broker.listen(0, '127.0.0.1')
    await once(broker, 'listening')
    const { child, lines } = start('events', '--port', String((broker.address() as AddressInfo).port))
    while (waiting.size > 0) await pause(10)
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
    broker.close()
    expect(connections).toBe(3)
    expect(acknowledged.size).toBe(294)
    expect(dead.size).toBe(6)
    for (const error of dead.values()) expect(error).toMatch(/one sample of shape \[784\]/)
    expect((await lines.next()).value).toMatch(/^\d+ acknowledged, \d+ dead$/)
  })
})
