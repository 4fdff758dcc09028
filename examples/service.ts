// A live service: says which digit a picture shows and writes text token by token, while it goes on learning in the background.
//   node dist/examples/service.js [PORT] [HOST]; its OpenAPI description is at /openapi.json
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import swagger from '@fastify/swagger'
import Fastify from 'fastify'
import { DataLoader, dataset } from '../lib/data/index.js'
import { crossEntropy, nn, OverloadedError, optim, softmax, type Tensor } from '../lib/index.js'
import { GPT2LMHeadModel, stream } from '../lib/models/index.js'
import { batcher, clientSignal, drainServer, httpHeaders, httpStatus, monitor } from '../lib/serve/index.js'
import { train } from '../lib/train/index.js'
import { loadDigits, samplesOf } from './digits.js'

const [port = '8080', host = '127.0.0.1'] = process.argv.slice(2)
const network = (): nn.Sequential => new nn.Sequential(new nn.Linear(784, 128), new nn.ReLU(), new nn.Linear(128, 10))
const [served, trained] = [network().eval(), network()]
const read = (pixels: Tensor): Tensor => softmax(served.forward(pixels))
const digits = batcher(read, { input: { shape: [784] }, model: served, deadlineMs: 1000, name: 'digits' })
// Bytes are its tokens; it has learnt nothing yet.
const size = { vocab_size: 256, n_embd: 64, n_layer: 2, n_head: 2, n_positions: 256, eos_token_id: null }
const writer = new GPT2LMHeadModel(size).eval()
const watched = monitor({ batchers: { digits } })

const app = Fastify({ bodyLimit: 32 * 1024 })
let leaving = false
app.setErrorHandler((error: Error & { statusCode?: number }, _, reply) => {
  const status = httpStatus(error) ?? error.statusCode ?? 500
  return reply.code(status).headers(httpHeaders(error)).send({ error: error.message })
})
await app.register(swagger, { openapi: { info: { title: 'Digits and text', version: '1.0.0' } } })

const numbers = (range: object) => ({ type: 'array', items: { type: 'number', minimum: 0, maximum: 1 }, ...range })
const object = (properties: object, required: string[]) => ({ type: 'object', properties, required })
const picture = object({ pixels: numbers({ minItems: 784, maxItems: 784 }) }, ['pixels'])
const reading = object({ digit: { type: 'integer' }, probabilities: numbers({}) }, ['digit', 'probabilities'])
app.post<{ Body: { pixels: number[] } }>('/digits', {
  // Before the body is read: what is too much costs next to nothing.
  onRequest: async () => digits.admit(),
  schema: { body: picture, response: { 200: reading } },
  handler: async ({ body }, reply) => {
    const { data } = await digits.predict(body.pixels, { signal: clientSignal(reply.raw) })
    const probabilities = Array.from(data, Number)
    return { digit: probabilities.indexOf(Math.max(...probabilities)), probabilities }
  },
})

let writing = 0
async function* written(prompt: string, tokens: number, signal: AbortSignal): AsyncGenerator<string> {
  writing++
  try {
    const options = { maxTokens: tokens, temperature: 0.8, seed: Date.now(), signal }
    for await (const token of stream(writer, Buffer.from(prompt).subarray(0, 100), options))
      yield `data: ${JSON.stringify({ token })}\n\n`
    yield 'event: end\ndata: {}\n\n'
  } finally {
    writing--
  }
}
const prompt = { type: 'string', minLength: 1, maxLength: 100 }
const tokens = { type: 'integer', minimum: 1, maximum: 100, default: 50 }
app.post<{ Body: { prompt: string; tokens: number } }>('/text', {
  schema: { body: object({ prompt, tokens }, ['prompt']) },
  handler: async ({ body }, reply) => {
    if (writing >= 4) throw new OverloadedError('four texts are being written already', 1000)
    const events = written(body.prompt, body.tokens, clientSignal(reply.raw))
    return reply.type('text/event-stream').header('cache-control', 'no-store').send(Readable.from(events))
  },
})

app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())
app.get('/metrics', (_, reply) => reply.type(watched.contentType).send(watched.prometheus()))
app.get('/live', (_, reply) => reply.code(watched.health().live ? 200 : 500).send(watched.health()))
app.get('/ready', (_, reply) => reply.code(watched.health().ready && !leaving ? 200 : 503).send(watched.health()))

await digits.warmUp()
const stop = new AbortController()
const samples = dataset(samplesOf(loadDigits().train))
const training = train(trained, new DataLoader(samples, { batchSize: 64, shuffle: true, dtypes: { label: 'i32' } }), {
  loss: (model, { x, label }) => crossEntropy(model.forward(x), label),
  optimizer: (parameters) => new optim.AdamW(parameters, { lr: 1e-3 }),
  epochs: 1000,
  callbacks: [{ onStep: async ({ step }) => void (step % 50 === 0 && (await digits.swap(trained))) }],
  signal: stop.signal,
  progress: false,
})
console.log(`listening on ${await app.listen({ port: Number(port), host })}`)
process.once('SIGTERM', async () => {
  leaving = true // not ready any more: whoever sends requests has half a second to notice
  await pause(500)
  await drainServer(app.server)
  await digits.close()
  stop.abort()
  console.log(`ends after ${(await training).steps} steps`)
  watched.close()
})
