// Two threads that train at once, beside the main one.
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import * as heddle from 'heddle'
import { train } from './training.mjs'

if (isMainThread) {
  const answer = () =>
    new Promise((done, failed) => {
      const worker = new Worker(new URL(import.meta.url))
      worker.once('message', done)
      worker.once('error', failed)
    })
  const [mine] = await Promise.all([train(heddle), answer(), answer()])
  console.log(JSON.stringify(mine))
} else parentPort.postMessage(await train(heddle))
