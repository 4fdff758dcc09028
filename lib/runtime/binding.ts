// interim: the infrastructure branch owns this file
export interface Failure { code: string; message: string; origin: number; step: number; stateLost: boolean }
export interface Binding {
  readonly schemaHash: string
  devices(): { name: string; kind: 'cpu'; threads: number; instructionSet: string; memoryBytes: number }[]
  alloc(device: number, bytes: number, label: string): number
  free(handle: number): void
  write(handle: number, byteOffset: number, source: ArrayBufferView): number
  read(handle: number, byteOffset: number, target: Uint8Array): number
  prepare(device: number, words: Float64Array, label: string): { plan: number; workspaceBytes: Float64Array }
  place(plan: number, offsets: Float64Array, arenaBytes: number): void
  run(plan: number, handles: Uint32Array): number
  release(plan: number): void
  sync(device: number): number
  stats(device: number): { allocated: number; reserved: number; peak: number; limit: number; retries: number; arenaBytes: number; queued: number; holders: { label: string; bytes: number }[] }
  configure(device: number, options: { memoryLimit?: number; threads?: number }): void
  listen(callback: (tickets: Float64Array, failures: (Failure | undefined)[] | undefined) => void): void
}
export function loadBinding(): Binding { throw new Error('interim') }
