// `npm run test:crash -- --points N --resumes M`: kills a saving process at N points, and trainings at M steps.
import { parseArgs } from 'node:util'
import { crash } from './points.js'
import { resume } from './resume.js'

const { values } = parseArgs({
  options: { points: { type: 'string', default: '500' }, resumes: { type: 'string', default: '50' } },
})
const tell = (line: string): void => console.error(line)
const saving = await crash(Number(values.points), tell)
console.error(`saving: ${saving.passed} passed, ${saving.failed} failed`)
const training = await resume(Number(values.resumes), tell)
console.error(`training: ${training.passed} passed, ${training.failed} failed`)
const failed = saving.failed + training.failed
console.log(`${saving.passed + training.passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
