#!/usr/bin/env node
// The command `heddle`: one word says what it does, each in a file of its own.
import { doctor } from './doctor.js'

const COMMANDS: Record<string, { readonly run: (argv: readonly string[]) => number; readonly about: string }> = {
  doctor: { run: doctor, about: 'what this machine has for heddle, what is missing, and what to do' },
}

const [name = '', ...argv] = process.argv.slice(2)
const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
if (command) {
  process.exitCode = command.run(argv)
} else {
  const list = Object.entries(COMMANDS).map(([word, { about }]) => `  heddle ${word.padEnd(8)} ${about}`)
  const asked = name === '' || name === 'help' || name === '--help'
  ;(asked ? console.log : console.error)(
    `${asked ? '' : `heddle: there is no command '${name}'\n\n`}Usage:\n${list.join('\n')}`,
  )
  process.exitCode = asked ? 0 : 2
}
