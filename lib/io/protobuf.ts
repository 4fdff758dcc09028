// Protocol buffers' wire format, field by field from a file: what is not asked for is passed over unread.
import type { FileHandle } from 'node:fs/promises'
import { FormatError } from '../runtime/errors.js'
import { readBytes } from './positioned.js'

/** A field of a message: a number, or where in the file its bytes are. */
export interface Field {
  readonly number: number
  /** Of a varint, whatever it stands for, as an unsigned integer of 64 bits; 0n for other fields. */
  readonly value: bigint
  /** Of a string, bytes, a message or packed numbers; empty for other fields. */
  readonly start: number
  readonly end: number
  readonly kind: 'varint' | 'bytes' | 'fixed'
}

/** Reads come in windows of this size. */
const WINDOW = 64 << 10
/** The longest string that is read. */
const MOST_TEXT = 1 << 20

export class ProtobufFile {
  private window: Uint8Array = new Uint8Array(0)
  private from = 0

  constructor(
    private readonly handle: FileHandle,
    readonly file: string,
    readonly size: number,
  ) {}

  /** An error at a byte of the file. */
  damaged(position: number, why: string): FormatError {
    return new FormatError(`${this.file}: at byte ${position}: ${why}`, this.file, position)
  }

  private async byte(position: number): Promise<number> {
    const within = position - this.from
    if (within >= 0 && within < this.window.length) return this.window[within] as number
    this.window = await readBytes(this.handle, this.file, position, Math.min(WINDOW, this.size - position))
    this.from = position
    return this.window[0] as number
  }

  private async varint(position: number, end: number): Promise<readonly [value: bigint, next: number]> {
    let value = 0n
    let small = 0
    for (let i = 0; i < 10; i++) {
      if (position + i >= end) throw this.damaged(position, 'a number is cut off')
      const byte = await this.byte(position + i)
      // Most are short, and bigints are slow.
      if (i < 4) small += (byte & 0x7f) * 2 ** (7 * i)
      else value |= BigInt(byte & 0x7f) << BigInt(7 * i)
      if (byte < 0x80) return [BigInt.asUintN(64, value | BigInt(small)), position + i + 1]
    }
    throw this.damaged(position, 'a number has more than ten bytes')
  }

  /** The fields of the message from `start` to `end`, in their order. */
  async *fields(start: number, end: number): AsyncGenerator<Field> {
    for (let at = start; at < end; ) {
      const [tag, next] = await this.varint(at, end)
      const number = Number(tag >> 3n)
      if (number === 0 || number >= 2 ** 29) throw this.damaged(at, `there is no field ${number}`)
      switch (Number(tag & 7n)) {
        case 0: {
          const [value, behind] = await this.varint(next, end)
          yield { number, value, start: at, end: at, kind: 'varint' }
          at = behind
          break
        }
        case 2: {
          const [length, from] = await this.varint(next, end)
          if (length > BigInt(end - from))
            throw this.damaged(at, `field ${number} has ${length} bytes, and ${end - from} are left`)
          at = from + Number(length)
          yield { number, value: 0n, start: from, end: at, kind: 'bytes' }
          break
        }
        case 1:
        case 5: {
          const behind = next + ((tag & 7n) === 1n ? 8 : 4)
          if (behind > end) throw this.damaged(at, `field ${number} is cut off`)
          yield { number, value: 0n, start: next, end: behind, kind: 'fixed' }
          at = behind
          break
        }
        default:
          throw this.damaged(at, `field ${number} has the unknown wire type ${tag & 7n}`)
      }
    }
  }

  /** A string's text. */
  async text({ start, end, kind, number }: Field): Promise<string> {
    if (kind !== 'bytes') throw this.damaged(start, `field ${number} is no text`)
    if (end - start > MOST_TEXT) throw this.damaged(start, `a text of ${end - start} bytes is longer than ${MOST_TEXT}`)
    return new TextDecoder().decode(await readBytes(this.handle, this.file, start, end - start))
  }

  /** Integers of a repeated field, packed or one by one. */
  async *integers({ kind, value, start, end, number }: Field): AsyncGenerator<bigint> {
    if (kind === 'varint') yield BigInt.asIntN(64, value)
    else if (kind === 'fixed') throw this.damaged(start, `field ${number} is no integer`)
    else
      for (let at = start; at < end; ) {
        const [packed, next] = await this.varint(at, end)
        yield BigInt.asIntN(64, packed)
        at = next
      }
  }
}
