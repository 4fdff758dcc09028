// What is trained in a distillation: the student, and what its loss learns besides.
import { Module } from '../nn/module.js'
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'

/** The student and the modules of its loss, such as `HiddenMatching`, whose parameters are trained with it. */
export class Distillation<S extends Module = Module> extends Module {
  constructor(
    readonly student: S,
    readonly criteria: Readonly<Record<string, Module>> = {},
  ) {
    super()
  }
}

/** Throws `ArgumentError` unless teachers are modules whose parameters are none of the student's. */
export function checkTeachers(op: string, student: Module, teachers: readonly Module[]): void {
  if (!(student instanceof Module)) throw new ArgumentError(`${op}: the student is a module, not ${describe(student)}`)
  if (teachers.length === 0) throw new ArgumentError(`${op}: there is no teacher`)
  const own = new Map(student.namedParameters().map(([name, parameter]) => [parameter, name]))
  for (const teacher of teachers) {
    if (!(teacher instanceof Module)) throw new ArgumentError(`${op}: a teacher is a module, not ${describe(teacher)}`)
    const shared = teacher.parameters().find((parameter) => own.has(parameter))
    if (shared)
      throw new ArgumentError(
        `${op}: ${own.get(shared)} of the student is a parameter of a teacher too, which would learn from itself; give the student parameters of its own`,
      )
  }
}

/** Runs `fn` with the teachers in the mode for inference; afterwards they are in the mode they were in. */
export async function asTeachers<T>(teachers: readonly Module[], fn: () => Promise<T>): Promise<T> {
  const modes = teachers.map(({ training }) => training)
  for (const teacher of teachers) teacher.eval()
  try {
    return await fn()
  } finally {
    teachers.forEach((teacher, i) => {
      teacher.train(modes[i])
    })
  }
}
