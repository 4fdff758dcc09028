// The same by `require`.
const start = performance.now()
const { tensor } = require('heddle')
const x = tensor([
  [1, 2],
  [3, 4],
])
x.matmul(x)
  .add(1)
  .sum()
  .item()
  .then((result) => {
    if (result !== 58) throw new Error(`the first result is ${result}`)
    console.log(JSON.stringify({ all: performance.now() - start }))
  })
