// A folder of images with one subfolder per class, as a dataset.
import { readdir } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DataError } from '../../runtime/errors.js'
import { IndexedDataset } from '../dataset.js'
import type { HostArray } from '../sample.js'
import { type DecodeOptions, decodeImage } from './decode.js'
import type { Image } from './pixels.js'

const EXTENSIONS = new Set(['.jpg', '.jpeg', '.png', '.webp', '.gif', '.avif', '.tif', '.tiff'])

export interface ImageSample {
  readonly image: Image
  /** Number of the class, an i32 without axes. */
  readonly label: HostArray
  readonly path: string
}

/** Images of a folder; `classes` are the names of its subfolders. */
export class ImageFolder extends IndexedDataset<ImageSample> {
  /** @internal From `imageFolder`. */
  constructor(
    /** Names of the classes in the order of their numbers. */
    readonly classes: readonly string[],
    /** Class number of each sample: for splits by label and weights. */
    readonly labels: readonly number[],
    readonly paths: readonly string[],
    private readonly options: DecodeOptions,
  ) {
    super()
  }

  get length(): number {
    return this.paths.length
  }

  protected async read(index: number): Promise<ImageSample> {
    const path = this.paths[index] as string
    const label: HostArray = { data: Int32Array.of(this.labels[index] as number), shape: [], dtype: 'i32' }
    return { image: await decodeImage(path, this.options), label, path }
  }
}

/**
 * The images below the subfolders of `folder`, classes and files in the order of their names. They are decoded when they are
 * asked for; give width and height where batches are to be made. Throws `DataError` for a folder that can not be read or
 * holds no images.
 *
 * @example const pets = await imageFolder('pets', { width: 224, height: 224 })
 */
export async function imageFolder(folder: string | URL, options: DecodeOptions = {}): Promise<ImageFolder> {
  const root = folder instanceof URL ? fileURLToPath(folder) : folder
  const list = async (path: string, recursive: boolean) => {
    try {
      return await readdir(path, { withFileTypes: true, recursive })
    } catch (cause) {
      throw new DataError(
        `imageFolder: ${path} can not be read: ${(cause as Error).message}`,
        'unreadable',
        { file: path },
        { cause },
      )
    }
  }
  const folders = (await list(root, false)).filter((entry) => entry.isDirectory()).map(({ name }) => name)
  const classes: string[] = []
  const labels: number[] = []
  const paths: string[] = []
  for (const name of folders.sort()) {
    const files = (await list(join(root, name), true)).filter(
      (entry) => entry.isFile() && EXTENSIONS.has(extname(entry.name).toLowerCase()),
    )
    if (files.length === 0) continue
    for (const path of files.map((file) => join(file.parentPath ?? file.path, file.name)).sort()) {
      labels.push(classes.length)
      paths.push(path)
    }
    classes.push(name)
  }
  if (paths.length > 0) return new ImageFolder(classes, labels, paths, options)
  throw new DataError(
    `imageFolder: ${root} has no subfolders with images (${[...EXTENSIONS].join(' ')})`,
    'unreadable',
    { file: root },
  )
}
