// Models by name: a folder on this machine, or what the hub has, fetched into its cache.
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { concurrently } from '../io/concurrently.js'
import { INDEX_SUFFIX, readIndex } from '../io/shardIndex.js'
import { integerFrom, numberIn, optionsOf } from '../ops/arguments.js'
import { ArgumentError, PretrainedError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { readModules } from './config.js'
import { CachedModel, defaultCache, exists, hubHome } from './hubCache.js'
import { type DownloadProgress, fetchFile, lookUp, type RemoteFile } from './hubDownload.js'
import { type Transport, UnreachableError } from './hubRequest.js'

export interface HubOptions {
  /** A branch, a tag or a commit. Default `main`. */
  readonly revision?: string
  /** The cache's folder. Default: `HF_HUB_CACHE`, `HF_HOME`/hub, or ~/.cache/huggingface/hub. */
  readonly cache?: string
  /** What opens private models; `false` for none. Default: `HF_TOKEN`, or what `huggingface-cli login` has kept. */
  readonly token?: string | false
  /** Take what the cache has and ask nobody. Default: whether `HF_HUB_OFFLINE` says so. */
  readonly offline?: boolean
  /** Default: `HF_ENDPOINT`, or https://huggingface.co. */
  readonly endpoint?: string
  /** Ends it by rejecting with the signal's reason; what has come so far is kept and gone on from the next time. */
  readonly signal?: AbortSignal
  /** Called as bytes come. */
  readonly onProgress?: (progress: DownloadProgress) => void
  /** Milliseconds without a byte after which a request is given up and made again. Default 30000. */
  readonly timeout?: number
  /** Tries after the first that failed, counted anew when bytes have come. Default 5. */
  readonly retries?: number
  /** Milliseconds before the second try, doubled before each further one. Default 1000. */
  readonly retryDelay?: number
}

/** Files that a model may have besides its weights, as far as something here reads them. */
const OPTIONAL = [
  'generation_config.json',
  'preprocessor_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'sentence_bert_config.json',
  'modules.json',
]
const CONFIG = 'config.json'
const WEIGHTS = 'model.safetensors'
const INDEX = WEIGHTS + INDEX_SUFFIX
const IN_FLIGHT = 4

/** `name` or `owner/name`, as the hub allows them. */
const isName = (text: string): boolean =>
  /^[\w.-]{1,96}(\/[\w.-]{1,96})?$/.test(text) && !/(^|\/)[.-]|\.\.|--|[.-](\/|$)/.test(text)

const isRevision = (text: string): boolean =>
  /^[\w./-]{1,200}$/.test(text) && text.split('/').every((part) => part !== '' && !/^\.+$/.test(part))

const saysYes = (text: string | undefined): boolean => /^(1|on|yes|true)$/i.test(text ?? '')

async function tokenOf(given: string | false | undefined): Promise<string | undefined> {
  if (given === false) return undefined
  const kept = process.env['HF_TOKEN_PATH'] || join(hubHome(), 'token')
  const found = given ?? process.env['HF_TOKEN'] ?? (await readFile(kept, 'utf8').catch(() => ''))
  return found.trim() || undefined
}

async function transportOf(op: string, options: HubOptions): Promise<Transport> {
  const { timeout = 30_000, retries = 5, retryDelay = 1000, signal, token } = options
  const endpoint = (options.endpoint ?? (process.env['HF_ENDPOINT'] || 'https://huggingface.co')).replace(/\/+$/, '')
  if (!URL.canParse(endpoint) || !/^https?:/.test(endpoint))
    throw new ArgumentError(
      `${op}: the endpoint (HF_ENDPOINT) must be an address as https://huggingface.co, not ${describe(endpoint)}`,
    )
  numberIn(op, 'timeout', timeout, 1)
  integerFrom(op, 'retries', retries, 0)
  numberIn(op, 'retryDelay', retryDelay, 0)
  return { endpoint, timeout, retries, delay: retryDelay, signal, token: await tokenOf(token) }
}

/** A model's files at one commit, in the cache. */
class Snapshot {
  readonly folder: string

  constructor(
    private readonly transport: Transport,
    private readonly cached: CachedModel,
    private readonly name: string,
    private readonly commit: string,
    private readonly options: HubOptions,
  ) {
    this.folder = cached.snapshot(commit)
  }

  /** Puts a file there. Says whether there is one. */
  async bring(file: string): Promise<boolean> {
    const known = await this.cached.has(this.commit, file)
    if (known !== undefined) return known
    const remote = await lookUp(this.transport, this.name, this.commit, file)
    if (remote.etag === undefined) {
      await this.cached.rememberMissing(this.commit, file)
      return false
    }
    await this.take(remote)
    return true
  }

  async take(remote: RemoteFile): Promise<void> {
    await fetchFile(this.transport, this.cached, { ...remote, commit: this.commit }, this.options.onProgress)
  }

  /** Everything that is read of a model. Throws `PretrainedError` where it has no weights that can be read. */
  async complete(): Promise<void> {
    await concurrently(IN_FLIGHT, OPTIONAL, async (file) => void (await this.bring(file)))
    const modules = join(this.folder, 'modules.json')
    // Paths in it are checked to be names of folders.
    const folders = (await exists(modules)) ? (await readModules(modules)).map(({ path }) => path) : []
    for (const path of folders) if (path !== '') await this.bring(`${path}/${CONFIG}`)
    if (await this.bring(WEIGHTS)) return
    if (!(await this.bring(INDEX))) {
      const pickled =
        (await this.bringNothing('pytorch_model.bin')) || (await this.bringNothing('pytorch_model.bin.index.json'))
      throw new PretrainedError(
        pickled
          ? `${this.name}: its weights are in pytorch_model.bin, which holds Python programs and is not read; look for a revision with model.safetensors (often refs/pr/1), or convert it with Python: AutoModel.from_pretrained('${this.name}').save_pretrained(folder)`
          : `${this.name}: it has neither ${WEIGHTS} nor ${INDEX}`,
      )
    }
    // Names in it are checked to be names of files beside it.
    const shards = [...(await readIndex(join(this.folder, INDEX))).keys()]
    await concurrently(IN_FLIGHT, shards, async (shard) => {
      if (!(await this.bring(shard)))
        throw new PretrainedError(`${this.name}: it has no ${shard}, which ${INDEX} names`)
    })
  }

  /** Whether the hub has a file, without fetching it. */
  private async bringNothing(file: string): Promise<boolean> {
    return (await lookUp(this.transport, this.name, this.commit, file)).etag !== undefined
  }
}

/** The snapshot of a revision as far as the cache has it whole; else what it lacks. */
async function cachedSnapshot(cached: CachedModel, revision: string): Promise<{ folder: string } | { lacks: string }> {
  const commit = await cached.commitOf(revision)
  if (commit === undefined) return { lacks: `the revision ${revision}` }
  const folder = cached.snapshot(commit)
  if (!(await exists(join(folder, CONFIG)))) return { lacks: CONFIG }
  if (await exists(join(folder, WEIGHTS))) return { folder }
  if (!(await exists(join(folder, INDEX)))) return { lacks: WEIGHTS }
  for (const shard of (await readIndex(join(folder, INDEX))).keys())
    if (!(await exists(join(folder, shard)))) return { lacks: shard }
  return { folder }
}

/**
 * The folder of a model: the path itself where there is something; else the model of that name at the hub, whose config,
 * safetensors and tokenizer are fetched into the cache that Python's huggingface_hub uses too, as far as they are not there.
 * Downloads go on where they were cut off, and count once their size and hash are right. Where the hub can not be reached,
 * what the cache has is taken. Throws `PretrainedError`, which says what to do, where there is no such model, where it may
 * not be read, or where the hub can not be reached and the cache has it not.
 *
 * @example const tokenizer = await loadTokenizer(await download('sentence-transformers/all-MiniLM-L6-v2'))
 */
export async function download(name: string, options: HubOptions = {}): Promise<string> {
  const op = 'download'
  if (typeof name !== 'string')
    throw new ArgumentError(`${op}: a model's name or folder is a string, not ${describe(name)}`)
  const {
    revision = 'main',
    cache = defaultCache(),
    offline = saysYes(process.env['HF_HUB_OFFLINE']),
  } = optionsOf(op, options)
  if ((await exists(name)) || !isName(name)) return name
  if (typeof revision !== 'string' || !isRevision(revision))
    throw new ArgumentError(`${op}: a revision is a branch, a tag or a commit, not ${describe(revision)}`)
  const cached = new CachedModel(resolve(cache), name)
  const fromCache = async (reason: string, cause?: unknown): Promise<string> => {
    const found = await cachedSnapshot(cached, revision)
    if ('folder' in found) return found.folder
    throw new PretrainedError(
      `${name}: there is no folder of that name, ${reason}, and the cache in ${cache} lacks ${found.lacks}`,
      { cause },
    )
  }
  if (offline) return fromCache('the hub is not asked (offline, HF_HUB_OFFLINE)')
  const transport = await transportOf(op, options)
  try {
    return await fetchSnapshot(transport, cached, name, revision, options)
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error
    return fromCache(`the hub can not be reached (${error.message})`, error)
  }
}

async function fetchSnapshot(
  transport: Transport,
  cached: CachedModel,
  name: string,
  revision: string,
  options: HubOptions,
): Promise<string> {
  const commit = await cached.commitOf(revision)
  if (commit === revision && (await cached.has(commit, CONFIG))) {
    const snapshot = new Snapshot(transport, cached, name, commit, options)
    await snapshot.complete()
    return snapshot.folder
  }
  // The first file says which commit the revision leads to; all others are taken from that commit.
  const config = await lookUp(transport, name, revision, CONFIG)
  if (config.etag === undefined)
    throw new PretrainedError(
      `${name}: there is no folder of that name, and ${transport.endpoint} has no model of that name with a ${CONFIG}; see whether the name is right`,
    )
  const snapshot = new Snapshot(transport, cached, name, config.commit, options)
  if (!(await cached.has(config.commit, CONFIG))) await snapshot.take(config)
  await cached.remember(revision, config.commit)
  await snapshot.complete()
  return snapshot.folder
}
