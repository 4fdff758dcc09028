// The version of heddle that runs.
import { createRequire } from 'node:module'

export const heddleVersion = (): string =>
  (createRequire(import.meta.url)('heddle/package.json') as { readonly version: string }).version
