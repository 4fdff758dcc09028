// Two processes of a cluster train; the primary collects what they say.
import cluster from 'node:cluster'
import * as heddle from 'heddle'
import { train } from './training.mjs'

if (cluster.isPrimary) {
  const answers = await Promise.all(
    [1, 2].map(
      () =>
        new Promise((done, failed) => {
          const worker = cluster.fork()
          let answer
          worker.on('message', (message) => {
            answer = message
          })
          worker.on('exit', (code, signal) =>
            code === 0 && answer ? done(answer) : failed(new Error(`a worker ended with ${signal ?? code}`)),
          )
        }),
    ),
  )
  console.log(JSON.stringify(answers[0]))
} else {
  const answer = await train(heddle)
  process.send(answer, () => process.disconnect())
}
