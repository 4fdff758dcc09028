/** The public face of heddle/io: safetensors, checkpoints, NumPy's files, traces. @module heddle/io */
import '../ops/methods.js'

export {
  type Checkpoint,
  type CheckpointContent,
  type CheckpointInfo,
  type LoadOptions,
  loadCheckpoint,
  type SaveOptions,
  saveCheckpoint,
} from './checkpoint.js'
export type { Json, Metrics } from './checkpointManifest.js'
export { type BestBy, CheckpointStore, type StoreOptions } from './checkpointStore.js'
export { readNpy, writeNpy } from './npy.js'
export { type ReadNpzOptions, readNpz, type WriteNpzOptions, writeNpz } from './npz.js'
export {
  openSafetensors,
  type ReadOptions,
  readSafetensors,
  type SafetensorsFile,
  type StoredTensor,
  type TensorSpec,
} from './safetensors.js'
export { type WriteOptions, writeSafetensors } from './safetensorsWrite.js'
export { type SavedTrace, startTrace, type Trace, type TraceOptions } from './trace.js'
