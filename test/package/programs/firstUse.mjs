// Importing must work anywhere; the first use then works, or says why not in an error, which is printed.
const heddle = await import('heddle')
await import('heddle/nn')
try {
  console.log(JSON.stringify({ works: await heddle.tensor([1, 2]).sum().item() }))
} catch (error) {
  console.log(JSON.stringify({ error: error.message, name: error.name }))
}
