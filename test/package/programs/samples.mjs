// Samples that a loader's thread makes by itself.
import { dataset } from 'heddle/data'

export const rows = (count) => dataset(Array.from({ length: count }, (_, x) => ({ x })))
