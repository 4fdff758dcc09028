// NVIDIA's libraries that the CUDA backend opens: which wheels have them, and where they are put.
import { homedir } from 'node:os'
import { join } from 'node:path'

/** A wheel of the Python package index; the hash says which file of the version. */
export interface Wheel {
  readonly name: string
  readonly version: string
  readonly sha256: string
  readonly bytes: number
  /** What is taken out of it, by name. */
  readonly libraries: RegExp
  /** What those are for. */
  readonly purpose: string
}

/** The line of CUDA that the backend is built with; its libraries run on every driver of CUDA 13. */
export const CUDA_LINE = '13.0'

export const WHEELS: readonly Wheel[] = [
  {
    name: 'nvidia-cublas',
    version: '13.1.0.3',
    sha256: 'ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171',
    bytes: 423_133_236,
    libraries: /^libcublasLt\.so\.\d+$/,
    purpose: 'matrix products',
  },
  {
    name: 'nvidia-cudnn-cu13',
    version: '9.19.0.56',
    sha256: 'd20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf',
    bytes: 366_066_321,
    libraries: /^libcudnn\w*\.so\.\d+$/,
    purpose: 'convolutions, attention in 16 bits',
  },
  {
    name: 'nvidia-cuda-nvrtc',
    version: '13.0.88',
    sha256: 'ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575',
    bytes: 90_215_200,
    // Not those called alt, which are compiled otherwise and which nobody opens.
    libraries: /^libnvrtc(-builtins)?\.so\.[\d.]+$/,
    purpose: 'fused elementwise programs',
  },
]

/** heddle's folder of what it can get again, as native/cuda/code_store.cpp has it. */
export function cacheFolder(): string {
  const { HEDDLE_CACHE, XDG_CACHE_HOME, HOME } = process.env
  if (HEDDLE_CACHE) return HEDDLE_CACHE
  return XDG_CACHE_HOME ? join(XDG_CACHE_HOME, 'heddle') : join(HOME || homedir(), '.cache/heddle')
}

/** Where the libraries are looked for, as native/cuda/library.cpp has it. */
export const cudaFolder = (): string => join(cacheFolder(), 'cuda', CUDA_LINE)
