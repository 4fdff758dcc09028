// Started by worker.test.ts as a process of its own: returns to the event loop with a read pending and nothing else, or
// exits at once; so many kernels take 20 ms each to make.
import { bufferOf, loadTestAddon, prepare, wait } from './addon.js'

const binding = loadTestAddon()
const target = new Float32Array(2)
binding.listen(() => console.log(`settled ${target.join()}`))
const slow = Array.from({ length: Number(process.argv[3] ?? 0) }, () => wait(0, 20))
binding.run(prepare(binding, { storages: [], operands: [], steps: [wait(100), ...slow] }), new Uint32Array(0))
binding.read(bufferOf(binding, new Float32Array([6, 7])), 0, target)
if (process.argv[2] === 'exit') process.exit(3)
