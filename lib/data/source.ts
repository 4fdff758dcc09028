// Where the bytes of a reader come from: a file, perhaps gzipped, or an iterable of chunks; as text, line by line.
import { createReadStream } from 'node:fs'
import { pipeline, Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { createGunzip } from 'node:zlib'
import { ArgumentError, DataError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { fromBeginning, isIterable } from './once.js'

type Chunks = AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>

/** A path or file URL (`.gz` is unpacked), or chunks; a function gives new ones for each epoch. */
export type TextSource = string | URL | Chunks | (() => Chunks)

/** @internal What errors call the source. */
export function nameOf(source: TextSource): { readonly file?: string } {
  if (typeof source === 'string') return { file: source }
  return source instanceof URL ? { file: source.protocol === 'file:' ? fileURLToPath(source) : source.href } : {}
}

function chunksOf(op: string, source: TextSource): Chunks {
  const { file } = nameOf(source)
  if (source instanceof URL && source.protocol !== 'file:') {
    throw new ArgumentError(`${op}: ${source.href} is no file; fetch it and pass the response's body`)
  }
  if (file !== undefined) {
    const bytes = createReadStream(file)
    if (!file.endsWith('.gz')) return bytes
    return pipeline(bytes, createGunzip(), () => undefined)
  }
  const chunks: unknown = typeof source === 'function' ? source() : source
  if (isIterable(chunks)) return fromBeginning(op, chunks)
  throw new ArgumentError(`${op}: it reads a path, a file URL or chunks of bytes, not ${describe(chunks)}`)
}

/** @internal The text of a source, decoded from UTF-8. Throws `DataError` for what can not be read or is no UTF-8. */
export async function* textOf(op: string, source: TextSource): AsyncGenerator<string> {
  const place = nameOf(source)
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const chunks = chunksOf(op, source)
  try {
    for await (const chunk of chunks) {
      const text = typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
      if (text !== '') yield text
    }
    yield decoder.decode()
  } catch (cause) {
    if (cause instanceof DataError) throw cause
    const file = place.file ?? 'the source'
    if (cause instanceof TypeError && 'code' in cause && cause.code === 'ERR_ENCODING_INVALID_ENCODED_DATA') {
      throw new DataError(`${op}: ${file} is not UTF-8; convert it first`, 'malformed', place, { cause })
    }
    throw new DataError(`${op}: ${file} can not be read: ${(cause as Error).message}`, 'unreadable', place, { cause })
  } finally {
    if (chunks instanceof Readable) chunks.destroy()
  }
}

/** @internal Lines without their ends. Throws `DataError` for a line of more than `most` characters. */
export async function* linesOf(op: string, source: TextSource, most: number): AsyncGenerator<string> {
  const place = nameOf(source)
  let line = 1
  let parts: string[] = []
  let held = 0
  const check = (length: number): void => {
    if (length <= most) return
    throw new DataError(
      `${op}: line ${line} of ${place.file ?? 'the source'} is longer than ${most} characters; raise the limit if it is meant`,
      'tooLarge',
      { ...place, line },
    )
  }
  const whole = (last: string): string => {
    const text = parts.length > 0 ? parts.join('') + last : last
    parts = []
    held = 0
    line++
    return text.endsWith('\r') ? text.slice(0, -1) : text
  }
  for await (const text of textOf(op, source)) {
    let from = 0
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', from)) {
      check(held + end - from)
      yield whole(text.slice(from, end))
      from = end + 1
    }
    if (from === text.length) continue
    held += text.length - from
    check(held)
    parts.push(text.slice(from))
  }
  if (held > 0) yield whole('')
}
