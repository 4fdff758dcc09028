// Reads digits from a stream of events, and acknowledges each only after its result: at least once, whatever happens.
//   node dist/examples/events.js --port P [--host H]
// The source is a TCP server that speaks JSON lines: { id, pixels } comes, { ack: id, digit } or { dead: id, error } goes back.
// What it has heard neither of when the connection ends, it delivers again.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { nn, seed, softmax, type Tensor } from '../lib/index.js'
import { batcher, consume } from '../lib/serve/index.js'

const { values } = parseArgs({ options: { port: { type: 'string' }, host: { type: 'string', default: '127.0.0.1' } } })
seed(1)
const model = new nn.Sequential(new nn.Linear(784, 128), new nn.ReLU(), new nn.Linear(128, 10)).eval()
const digits = batcher((pixels: Tensor) => softmax(model.forward(pixels)), { input: { shape: [784] }, name: 'digits' })
await digits.warmUp()

interface Event {
  readonly id: string
  readonly pixels: number[]
}

/** Any stream will do: a message queue's client, a change feed, a file. Lines that are no events are told of and dropped. */
async function* eventsFrom(socket: Socket): AsyncGenerator<Event> {
  let rest = ''
  for await (const chunk of socket.setEncoding('utf8') as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() as string
    for (const line of lines) {
      try {
        const event = JSON.parse(line) as Event
        if (typeof event?.id !== 'string') throw new Error('it has no id')
        yield event
      } catch (error) {
        console.error(`a line that is no event: ${(error as Error).message}`)
      }
    }
  }
}

const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())

/** Room in the socket's buffer: one wait for all who have something to say. */
let room: Promise<unknown> | undefined

async function send(socket: Socket, message: object): Promise<void> {
  await room
  if (socket.destroyed) throw new Error('the source is gone; it will deliver the event again')
  if (socket.write(`${JSON.stringify(message)}\n`)) return
  room ??= Promise.race([once(socket, 'drain'), once(socket, 'close')]).finally(() => {
    room = undefined
  })
  await room
}

let acknowledged = 0
let dead = 0
while (!stop.signal.aborted) {
  const socket = connect(Number(values.port), values.host)
  // Without a listener an error of the connection would end the process; the loop below hears of it.
  socket.on('error', () => undefined)
  try {
    const counts = await consume(eventsFrom(socket), {
      handle: ({ pixels }) => digits.predict(pixels, { deadlineMs: 5000 }),
      acknowledge: async ({ id }, { data }) => {
        const probabilities = Array.from(data, Number)
        await send(socket, { ack: id, digit: probabilities.indexOf(Math.max(...probabilities)) })
        acknowledged++
      },
      // What can never be read, or could not be after five attempts: somebody has to look at it.
      deadLetter: async ({ id }, error) => {
        await send(socket, { dead: id, error: (error as Error).message })
        dead++
      },
      signal: stop.signal,
    })
    if (counts.acknowledged + counts.deadLettered === 0) await pause(100)
  } catch (error) {
    console.error(`connecting again: ${(error as Error).message}`)
    await pause(100)
  } finally {
    socket.end()
  }
}
await digits.close()
console.log(`${acknowledged} acknowledged, ${dead} dead`)
