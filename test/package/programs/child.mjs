// A child process trains after its parent has, each with heddle of its own.
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import * as heddle from 'heddle'
import { train } from './training.mjs'

const answer = await train(heddle)
if (process.argv[2] === 'child') process.send(answer, () => process.disconnect())
else {
  const child = fork(fileURLToPath(import.meta.url), ['child'])
  const theirs = await new Promise((done, failed) => {
    let heard
    child.on('message', (message) => {
      heard = message
    })
    child.on('exit', (code, signal) =>
      code === 0 && heard ? done(heard) : failed(new Error(`the child ended with ${signal ?? code}`)),
    )
  })
  if (theirs.last !== answer.last) throw new Error('the child comes to another loss')
  console.log(JSON.stringify(answer))
}
