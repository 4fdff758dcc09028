// From `import 'heddle'` to the first result on the host, in milliseconds.
const start = performance.now()
const { device, tensor } = await import('heddle')
const imported = performance.now()
device('cpu')
const opened = performance.now()
const x = tensor([
  [1, 2],
  [3, 4],
])
const result = await x.matmul(x).add(1).sum().item()
const end = performance.now()
if (result !== 58) throw new Error(`the first result is ${result}`)
console.log(
  JSON.stringify({ import: imported - start, open: opened - imported, first: end - opened, all: end - start }),
)
