// `npm run test:crash -- --points N`: kills a saving process at N points.
import { parseArgs } from 'node:util'
import { crash } from './points.js'

const { values } = parseArgs({ options: { points: { type: 'string', default: '500' } } })
const { passed, failed } = await crash(Number(values.points), (line) => console.error(line))
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
