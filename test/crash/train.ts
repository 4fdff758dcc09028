// The process that is killed while it trains: it goes on from its checkpoint, says each step, and at the end its hash.
import { hashOf, trainedRun } from './trainedRun.js'

const [folder] = process.argv.slice(2)
const run = await trainedRun(folder, (step) => console.log(`step ${step}`))
console.log(`hash ${await hashOf(run)}`)
