#!/usr/bin/env node
// The command `heddle`: one word says what it does, each in a file of its own.
interface Command {
  /** Gives the exit code. */
  readonly run: (argv: readonly string[]) => Promise<number>
  readonly about: string
}

/** Only the command that is asked for is loaded. */
const COMMANDS: Readonly<Record<string, Command>> = {
  doctor: {
    run: async (argv) => (await import('./doctor/doctor.js')).doctor(argv),
    about: 'what this machine has for heddle, what is wrong, and what to do',
  },
  bench: {
    run: async (argv) => (await import('./bench.js')).bench(argv),
    about: 'how fast each op is here, beside what this machine gives at most',
  },
  cuda: {
    run: async (argv) => (await import('./cuda.js')).cuda(argv),
    about: "brings NVIDIA's libraries for the CUDA backend: heddle cuda install",
  },
  inspect: {
    run: async (argv) => (await import('./inspect.js')).inspect(argv),
    about: 'what a safetensors or ONNX file or a checkpoint holds',
  },
  report: {
    run: async (argv) => (await import('./report.js')).report(argv),
    about: 'opens the report of a training, or makes it of its logs',
  },
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
