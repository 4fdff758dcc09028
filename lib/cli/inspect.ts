// heddle inspect: what a file or folder holds, without reading its elements.
import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { checkFiles, readManifest } from '../io/checkpoint.js'
import { MANIFEST, type Manifest } from '../io/checkpointManifest.js'
import { CheckpointStore, openSafetensors } from '../io/index.js'
import { type OnnxModel, readOnnx } from '../io/onnx.js'
import { matcher } from '../pattern.js'
import { formatBytes } from '../schema/bytes.js'
import { formatShape, type Shape, sizeOf } from '../schema/shape.js'

/** A tensor as `heddle inspect --json` prints it. */
export interface InspectedTensor {
  readonly name: string
  readonly dtype: string
  readonly shape: Shape
  readonly bytes: number
  /** Of ONNX: the file beside it that has the elements; '' where it has them itself. */
  readonly external?: string
}

/** Tensors that belong together: those of a file, or of a group of a checkpoint. */
export interface InspectedGroup {
  readonly path: string
  readonly metadata: Readonly<Record<string, string>>
  readonly tensors: readonly InspectedTensor[]
}

/** What `heddle inspect --json` prints. */
export interface Inspected {
  readonly path: string
  readonly kind: 'safetensors' | 'checkpoint' | 'run' | 'onnx'
  readonly checkpoint?: Omit<Manifest, 'files'>
  /** Steps of the checkpoints of a run, oldest first; the newest is the one that is shown. */
  readonly steps?: readonly number[]
  /** Of an ONNX file: all but its tensors, which are the group. */
  readonly onnx?: Omit<OnnxModel, 'path' | 'metadata' | 'initializers'>
  readonly groups: readonly InspectedGroup[]
}

/** Text from a file, without what could move a terminal's cursor. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const shown = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd').slice(0, 500)

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

async function groupOf(path: string, fits: (name: string) => boolean): Promise<InspectedGroup> {
  await using file = await openSafetensors(path)
  const tensors = file.names.filter(fits).map((name) => ({ name, ...file.spec(name) }))
  return { path: file.path, metadata: file.metadata, tensors }
}

interface Settings {
  readonly fits: (name: string) => boolean
  /** Compare hashes of a checkpoint's files. */
  readonly verify: boolean
}

async function inspectCheckpoint(path: string, { fits, verify }: Settings): Promise<Inspected> {
  const manifest = await readManifest(path)
  await checkFiles(path, manifest, verify)
  const { files, ...checkpoint } = manifest
  const groups: InspectedGroup[] = []
  for (const name of Object.keys(files)) groups.push(await groupOf(join(path, name), fits))
  return { path, kind: 'checkpoint', checkpoint, groups }
}

async function inspectOnnx(path: string, { fits }: Settings): Promise<Inspected> {
  const { path: _, metadata, initializers, ...onnx } = await readOnnx(path)
  const tensors = initializers.filter(({ name }) => fits(name))
  return { path, kind: 'onnx', onnx, groups: [{ path, metadata, tensors }] }
}

async function inspectPath(path: string, settings: Settings): Promise<Inspected> {
  if ((await stat(path)).isDirectory()) {
    if (await isThere(join(path, MANIFEST))) return inspectCheckpoint(path, settings)
    if ((await readdir(path)).some((name) => /^step-\d+$/.test(name))) {
      const store = new CheckpointStore(path)
      const steps = (await store.list()).map(({ step }) => step)
      const newest = (await store.list()).at(-1)
      if (newest) return { ...(await inspectCheckpoint(newest.path, settings)), path, kind: 'run', steps }
    }
  }
  if (path.toLowerCase().endsWith('.onnx')) return inspectOnnx(path, settings)
  return { path, kind: 'safetensors', groups: [await groupOf(path, settings.fits)] }
}

function printOnnx({
  irVersion,
  producer,
  graph,
  opsets,
  inputs,
  outputs,
  operators,
}: NonNullable<Inspected['onnx']>): void {
  const sets = Object.entries(opsets).map(([domain, version]) => `${shown(domain || 'ai.onnx')} ${version}`)
  console.log(
    `ONNX, IR version ${irVersion}, operators of ${sets.join(', ') || 'no set'}${producer && `, by ${shown(producer)}`}`,
  )
  if (graph) console.log(`graph ${shown(graph)}`)
  for (const [what, values] of [
    ['input', inputs],
    ['output', outputs],
  ] as const)
    for (const { name, dtype, shape } of values)
      console.log(
        `  ${what.padEnd(6)}  ${shown(name)}  ${dtype}  [${shape.map((extent) => shown(String(extent))).join(',')}]`,
      )
  const nodes = operators.reduce((sum, [, count]) => sum + count, 0)
  console.log(`  ${nodes} operators: ${operators.map(([name, count]) => `${shown(name)} ${count}`).join(', ')}`)
}

function print({ kind, steps, checkpoint, onnx, groups }: Inspected): void {
  if (kind === 'run') console.log(`checkpoints of steps ${steps?.join(', ')}; the newest:`)
  if (checkpoint) {
    const { step, savedAt, heddle, metrics } = checkpoint
    console.log(`step ${step}, saved ${new Date(savedAt).toISOString()} by heddle ${shown(heddle)}`)
    for (const [name, value] of Object.entries(metrics)) console.log(`  ${shown(name)} ${value}`)
  }
  if (onnx) printOnnx(onnx)
  for (const { path, metadata, tensors } of groups) {
    const rows = tensors.map(({ name, dtype, shape, bytes, external }) => [
      shown(external ? `${name} (in ${external})` : name),
      dtype,
      formatShape(shape),
      formatBytes(bytes),
    ])
    const widths = [0, 1, 2, 3].map((column) => Math.max(0, ...rows.map((row) => (row[column] as string).length)))
    console.log(`\n${shown(basename(path))}`)
    for (const [name, value] of Object.entries(metadata)) console.log(`  ${shown(name)}: ${shown(value)}`)
    for (const row of rows)
      console.log(
        `  ${row.map((cell, i) => (i === 3 ? cell.padStart(widths[i] as number) : cell.padEnd(widths[i] as number))).join('  ')}`,
      )
    const elements = tensors.reduce((sum, { shape }) => sum + sizeOf(shape), 0)
    const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0)
    console.log(`  ${tensors.length} tensors, ${elements.toLocaleString('en')} elements, ${formatBytes(bytes)}`)
  }
}

const USAGE = `Usage: heddle inspect PATH [PATTERN ...] [--json] [--no-verify]

Says what a safetensors file, its shards, an ONNX file, a checkpoint or a run's folder of checkpoints holds; with
patterns, of tensors whose names fit one. Hashes of a checkpoint's files are compared unless --no-verify is given. Exit code 1 where the
path can not be read or is damaged.`

/** Runs the command and gives its exit code. */
export async function inspect(argv: readonly string[]): Promise<number> {
  let parsed: { values: { json?: boolean; 'no-verify'?: boolean; help?: boolean }; positionals: string[] }
  try {
    parsed = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { json: { type: 'boolean' }, 'no-verify': { type: 'boolean' }, help: { type: 'boolean' } },
    })
  } catch (error) {
    console.error(`heddle inspect: ${(error as Error).message}\n\n${USAGE}`)
    return 2
  }
  const { values, positionals } = parsed
  const [path, ...patterns] = positionals
  if (values.help || path === undefined) {
    ;(values.help ? console.log : console.error)(USAGE)
    return values.help ? 0 : 2
  }
  try {
    const fits = matcher('inspect', patterns.length > 0 ? patterns : '*')
    const found = await inspectPath(path, { fits, verify: !values['no-verify'] })
    if (values.json) console.log(JSON.stringify(found, null, 2))
    else print(found)
    return 0
  } catch (error) {
    console.error(`heddle inspect: ${shown((error as Error).message.replaceAll('\n', ' ')).trim()}`)
    return 1
  }
}
