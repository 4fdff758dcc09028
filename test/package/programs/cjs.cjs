// CommonJS: require gives the ES module, with one copy of state.
const heddle = require('heddle')
const { Linear } = require('heddle/nn')

async function main() {
  const { train } = await import('./training.mjs')
  const imported = await import('heddle')
  if (imported.Tensor !== heddle.Tensor || Linear !== heddle.nn.Linear)
    throw new Error('there are two copies of heddle')
  if (imported.defaultDevice() !== heddle.defaultDevice()) throw new Error('there are two copies of its state')
  console.log(JSON.stringify(await train(heddle)))
}
main()
