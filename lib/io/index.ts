// The public face of heddle/io: safetensors.
export {
  openSafetensors,
  type ReadOptions,
  readSafetensors,
  type SafetensorsFile,
  type StoredTensor,
  type TensorSpec,
} from './safetensors.js'
export { type WriteOptions, writeSafetensors } from './safetensorsWrite.js'
