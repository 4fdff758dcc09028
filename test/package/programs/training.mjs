// One training, as every program of the table runs it: compiled steps of forward, gradient and AdamW must learn.
/** What really runs it, so that a cell can not be of another runtime than it is said to be. */
export function runtime() {
  const { bun, deno, node } = process.versions
  return bun ? `Bun ${bun}` : deno ? `Deno ${deno}` : `Node ${node}`
}

export async function train(heddle) {
  const { compile, crossEntropy, grad, nn, optim, seed, tensor } = heddle
  seed(1)
  const model = new nn.Linear(4, 3)
  const adamw = new optim.AdamW(model.parameters(), { lr: 0.05 })
  const step = compile((x, labels) => {
    const loss = crossEntropy(model.forward(x), labels)
    adamw.step(grad(loss, model.parameters()))
    return loss
  })
  const x = tensor(Array.from({ length: 12 }, (_, i) => [0, 1, 2, 3].map((j) => Math.cos((i % 3) * (j + 1)))))
  const labels = tensor(Int32Array.from({ length: 12 }, (_, i) => i % 3))
  const losses = []
  for (let i = 0; i < 25; i++) losses.push(await (await step(x, labels)).item())
  const [first, last] = [losses[0], losses.at(-1)]
  if (!(last < first * 0.8)) throw new Error(`the loss does not fall: ${first} at first, ${last} at last`)
  return { first, last, threads: heddle.defaultDevice().threads, runtime: runtime() }
}
