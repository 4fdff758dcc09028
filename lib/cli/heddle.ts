#!/usr/bin/env node
// The command `heddle`: one word says what it does, each in a file of its own.
import { cuda } from './cuda.js'
import { doctor } from './doctor.js'
import { inspect } from './inspect.js'

interface Command {
  /** Gives the exit code. */
  readonly run: (argv: readonly string[]) => number | Promise<number>
  readonly about: string
}

const COMMANDS: Readonly<Record<string, Command>> = {
  doctor: { run: doctor, about: 'what this machine has for heddle, what is missing, and what to do' },
  cuda: { run: cuda, about: "brings NVIDIA's libraries for the CUDA backend: heddle cuda install" },
  inspect: { run: inspect, about: 'what a safetensors file or a checkpoint holds' },
}

const [name = '', ...argv] = process.argv.slice(2)
const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
if (command) {
  process.exitCode = await command.run(argv)
} else {
  const list = Object.entries(COMMANDS).map(([word, { about }]) => `  heddle ${word.padEnd(8)} ${about}`)
  const asked = name === '' || name === 'help' || name === '--help'
  ;(asked ? console.log : console.error)(
    `${asked ? '' : `heddle: there is no command '${name}'\n\n`}Usage:\n${list.join('\n')}`,
  )
  process.exitCode = asked ? 0 : 2
}
