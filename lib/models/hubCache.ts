// The hub's cache on this machine, laid out as Python's huggingface_hub has it, so that both find what the other has fetched.
import { copyFile, mkdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { replaceFile } from '../io/durable.js'
import { leftoverName } from '../io/leftovers.js'

/** The cache's folder: `HF_HUB_CACHE`, or `hub` in `HF_HOME` (~/.cache/huggingface). */
export function defaultCache(): string {
  const { HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE } = process.env
  return HF_HUB_CACHE || HUGGINGFACE_HUB_CACHE || join(hubHome(), 'hub')
}

/** Where huggingface_hub keeps what is the user's: `HF_HOME`. */
export function hubHome(): string {
  const { HF_HOME, XDG_CACHE_HOME } = process.env
  return HF_HOME || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface')
}

export const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

/** A commit's name in full. */
export const isCommit = (revision: string): boolean => /^[0-9a-f]{40}$/.test(revision)

/** What is cached of one model: blobs by their hash, commits by the names that lead to them, files of a commit as links to blobs. */
export class CachedModel {
  private readonly folder: string
  private readonly locks: string

  constructor(cache: string, name: string) {
    const own = `models--${name.replaceAll('/', '--')}`
    this.folder = join(cache, own)
    this.locks = join(cache, '.locks', own)
  }

  /** The folder of a commit. */
  snapshot(commit: string): string {
    return join(this.folder, 'snapshots', commit)
  }

  blob(etag: string): string {
    return join(this.folder, 'blobs', etag)
  }

  /** Beside Python's locks, which are of another kind. */
  lock(etag: string): string {
    return join(this.locks, `${etag}.heddle`)
  }

  /** The commit that a revision led to last. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision
    const text = await readFile(join(this.folder, 'refs', revision), 'utf8').catch(() => '')
    return isCommit(text.trim()) ? text.trim() : undefined
  }

  /** Remembers the commit that a revision leads to. */
  async remember(revision: string, commit: string): Promise<void> {
    if (isCommit(revision) || (await this.commitOf(revision)) === commit) return
    const path = join(this.folder, 'refs', revision)
    await mkdir(dirname(path), { recursive: true })
    await replaceFile(path, [new TextEncoder().encode(commit)])
  }

  /** Whether a file of a commit is here (true), or known not to exist (false); undefined where neither is known. */
  async has(commit: string, file: string): Promise<boolean | undefined> {
    if (await exists(join(this.snapshot(commit), file))) return true
    return (await exists(this.missing(commit, file))) ? false : undefined
  }

  private missing(commit: string, file: string): string {
    return join(this.folder, '.no_exist', commit, file)
  }

  /** Remembers that a commit has no such file. */
  async rememberMissing(commit: string, file: string): Promise<void> {
    const path = this.missing(commit, file)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, '')
  }

  /** Puts a blob into a commit's folder under a file's name: as a relative link, or as a copy where there can be none. */
  async link(etag: string, commit: string, file: string): Promise<void> {
    const place = join(this.snapshot(commit), file)
    const folder = dirname(place)
    await mkdir(folder, { recursive: true })
    const temporary = await leftoverName(folder, 'link')
    try {
      await symlink(relative(folder, this.blob(etag)), temporary).catch(() => copyFile(this.blob(etag), temporary))
      await rename(temporary, place)
    } finally {
      await rm(temporary, { force: true })
    }
  }
}
