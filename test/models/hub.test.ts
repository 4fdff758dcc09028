// Models by name: the cache's layout, resumed downloads, and everything that can go wrong on the way, with a hub on this machine.
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, readlink, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { ArgumentError, FormatError, PretrainedError, seed } from '../../lib/index.js'
import { BertModel, download, fromPretrained, type HubOptions, savePretrained } from '../../lib/models/index.js'
import { temporaryFolder } from '../io/folder.js'
import { COMMIT, closedEndpoint, cut, type Hub, hubOf, send } from './hubServer.js'

const SMALL = { vocab_size: 40, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 64 }

/** The files of a small model. */
async function modelFiles(maxShardBytes?: number): Promise<Record<string, Uint8Array>> {
  const folder = await temporaryFolder()
  seed(5)
  await savePretrained(new BertModel(SMALL), folder, maxShardBytes === undefined ? {} : { maxShardBytes })
  const names = await readdir(folder)
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const)),
  )
}

interface Set {
  readonly hub: Hub
  readonly files: Record<string, Uint8Array>
  readonly cache: string
  readonly options: HubOptions
  readonly weights: Uint8Array
}

async function setUp(extra: Readonly<Record<string, string>> = {}): Promise<Set> {
  const files = { ...(await modelFiles()), ...extra } as Record<string, Uint8Array>
  const hub = await hubOf(files)
  const cache = await temporaryFolder()
  const options = { cache, endpoint: hub.endpoint, token: false as const, retryDelay: 1, timeout: 2000 }
  return { hub, files, cache, options, weights: files['model.safetensors'] as Uint8Array }
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const blobsOf = (cache: string): string => join(cache, 'models--owner--name', 'blobs')

async function failure(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => {
      throw new Error('it did not fail')
    },
    (error: Error) => error,
  )
}

test('a model by name: loaded, laid out as huggingface_hub does, and the next time there', async () => {
  const { hub, cache, options, weights, files } = await setUp({ 'tokenizer_config.json': '{}' })
  const model = await fromPretrained<BertModel>('owner/name', options)
  expect(model).toBeInstanceOf(BertModel)
  const root = join(cache, 'models--owner--name')
  expect(await readFile(join(root, 'refs/main'), 'utf8')).toBe(COMMIT)
  const snapshot = join(root, 'snapshots', COMMIT)
  expect((await readdir(snapshot)).sort()).toEqual(['config.json', 'model.safetensors', 'tokenizer_config.json'])
  expect(await readlink(join(snapshot, 'model.safetensors'))).toBe(`../../blobs/${sha256(weights)}`)
  expect(await readFile(join(snapshot, 'config.json'))).toEqual(files['config.json'])
  expect(await readdir(join(root, '.no_exist', COMMIT))).toContain('tokenizer.json')
  expect((await readdir(blobsOf(cache))).every((name) => /^[0-9a-f]{40,64}$/.test(name))).toBe(true)
  // Everything but the first look was at the commit.
  expect(hub.seen.filter(({ path }) => path.includes('/main/')).map(({ method }) => method)).toEqual(['HEAD'])
  hub.seen.length = 0
  expect(await download('owner/name', options)).toBe(snapshot)
  expect(hub.seen.map(({ path }) => path)).toEqual(['/owner/name/resolve/main/config.json'])
  hub.seen.length = 0
  expect(await download('owner/name', { ...options, revision: COMMIT })).toBe(snapshot)
  expect(hub.seen).toEqual([])
})

test('shards, and the pooling of a sentence-transformers model', async () => {
  const kinds = JSON.stringify([
    { type: 'sentence_transformers.models.Transformer', path: '' },
    { type: 'sentence_transformers.models.Pooling', path: '1_Pooling' },
  ])
  const files = await modelFiles(20_000)
  const hub = await hubOf({ ...files, 'modules.json': kinds, '1_Pooling/config.json': '{}' })
  const options = { cache: await temporaryFolder(), endpoint: hub.endpoint, token: false as const }
  const folder = await download('owner/name', options)
  expect((await readdir(folder)).filter((name) => name.endsWith('.safetensors')).length).toBeGreaterThan(1)
  expect(await readlink(join(folder, '1_Pooling/config.json'))).toMatch(/^\.\.\/\.\.\/\.\.\/blobs\//)
  await fromPretrained(folder)
})

describe('downloads', () => {
  test('go on where they were cut off, again and again, as long as something comes', async () => {
    const { hub, options, weights } = await setUp()
    let count = 0
    hub.beforeStored = (request, response) => {
      // Seven times, which is more than the tries without progress.
      if (count++ >= 7) return false
      cut(request, response, weights, 1000)
      return true
    }
    const progress: number[] = []
    const onProgress: HubOptions['onProgress'] = ({ file, bytes, total, rate }) => {
      if (file !== 'model.safetensors') return
      progress.push(bytes)
      expect(total).toBe(weights.length)
      expect(rate).toBeGreaterThan(0)
    }
    const folder = await download('owner/name', { ...options, retries: 2, onProgress })
    expect(await readFile(join(folder, 'model.safetensors'))).toEqual(weights)
    expect(hub.stored.map(({ range }) => range).slice(0, 3)).toEqual([undefined, 'bytes=1000-', 'bytes=2000-'])
    expect(progress).toEqual([...progress].sort((a, b) => a - b))
    expect(progress.at(-1)).toBe(weights.length)
  })

  test('go on from what another process has left; what is not of this file is found out by its hash', async () => {
    for (const left of [(bytes: Uint8Array) => bytes.slice(0, 5000), () => new Uint8Array(5000).fill(7)]) {
      const { hub, cache, options, weights } = await setUp()
      await mkdir(blobsOf(cache), { recursive: true })
      await writeFile(join(blobsOf(cache), `${sha256(weights)}.incomplete`), left(weights))
      const folder = await download('owner/name', options)
      expect(hub.stored[0]?.range).toBe('bytes=5000-')
      expect(await readFile(join(folder, 'model.safetensors'))).toEqual(weights)
      expect(await readdir(blobsOf(cache))).not.toContain(`${sha256(weights)}.incomplete`)
    }
  })

  test('begin anew where the bytes have changed in the middle', async () => {
    const { hub, options, weights } = await setUp()
    const old = new Uint8Array(weights.length).fill(9)
    let count = 0
    hub.beforeStored = (request, response) => {
      if (count++ > 0) return false
      cut(request, response, old, 3000)
      return true
    }
    const folder = await download('owner/name', options)
    expect(await readFile(join(folder, 'model.safetensors'))).toEqual(weights)
    // Asked for the rest, the server sent all.
    expect(hub.stored.map(({ range }) => range)).toEqual([undefined, 'bytes=3000-'])
  })

  test('of a wrong hash or length are errors, and nothing of them is kept', async () => {
    const { hub, cache, options, weights } = await setUp()
    const other = Uint8Array.from(weights, (byte, i) => (i === 5000 ? 255 - byte : byte))
    hub.contents = () => other
    const wrong = await failure(download('owner/name', options))
    expect(wrong).toBeInstanceOf(PretrainedError)
    expect(wrong.message).toMatch(
      /model.safetensors: its hash is not the one that the hub says, twice; nothing of it was kept/,
    )
    expect((await readdir(blobsOf(cache))).join()).not.toContain(sha256(weights))
    hub.contents = () => Buffer.concat([weights, weights.subarray(0, 100)])
    const long = await failure(download('owner/name', options))
    expect(long.message).toMatch(/it has \d+ bytes instead of \d+, twice/)
    hub.contents = () => weights.subarray(0, 400)
    const short = await failure(download('owner/name', { ...options, retries: 1 }))
    expect(short.message).toMatch(/the connection ended after 400 of \d+ bytes|the server has not the bytes/)
    hub.contents = () => weights
    await fromPretrained('owner/name', options)
  })

  test('that nothing comes of are given up and made again', async () => {
    const { hub, options, weights } = await setUp()
    let count = 0
    hub.beforeStored = (_, response) => {
      if (count++ > 0) return false
      response.writeHead(200, { 'content-length': weights.length })
      response.write(weights.subarray(0, 100))
      return true
    }
    const folder = await download('owner/name', { ...options, timeout: 200 })
    expect(await readFile(join(folder, 'model.safetensors'))).toEqual(weights)
  })

  test('at the same time fetch each file once; the lock of a process that is gone is taken over', async () => {
    const { hub, cache, options, weights } = await setUp()
    const lock = join(cache, '.locks/models--owner--name', `${sha256(weights)}.heddle`)
    await mkdir(join(lock, '..'), { recursive: true })
    await writeFile(lock, '1')
    const long = new Date(Date.now() - 60_000)
    await utimes(lock, long, long)
    const folders = await Promise.all([1, 2, 3].map(() => download('owner/name', options)))
    expect(hub.stored).toHaveLength(1)
    expect(await readFile(join(folders[2] as string, 'model.safetensors'))).toEqual(weights)
    await expect(stat(lock)).rejects.toThrow()
  })

  test('end with a signal, and go on the next time', async () => {
    const { hub, options, weights } = await setUp()
    const control = new AbortController()
    hub.beforeStored = (_, response) => {
      response.writeHead(200, { 'content-length': weights.length })
      response.write(weights.subarray(0, 2000))
      return true
    }
    const onProgress: HubOptions['onProgress'] = ({ file }) =>
      file === 'model.safetensors' && control.abort(new Error('enough'))
    await expect(download('owner/name', { ...options, signal: control.signal, onProgress })).rejects.toThrow(/enough/)
    hub.beforeStored = () => false
    await download('owner/name', options)
    expect(hub.stored.at(-1)?.range).toBe('bytes=2000-')
  })
})

describe('what the hub says', () => {
  test('the token goes to the hub and nowhere else', async () => {
    const { hub, options } = await setUp()
    hub.before = (request, response) => {
      const moved = request.url?.replace('/owner/old', '/owner/name')
      if (moved === request.url) return false
      response.writeHead(307, { location: moved }).end()
      return true
    }
    await download('owner/old', { ...options, token: 'secret' })
    expect(hub.seen.length).toBeGreaterThan(5)
    expect(hub.seen.every(({ token }) => token === 'Bearer secret')).toBe(true)
    expect(hub.stored.map(({ token }) => token)).toEqual([undefined])
  })

  test('tokens come from the environment unless they are given', async () => {
    const { hub, options } = await setUp()
    const { token: _, ...unset } = options
    vi.stubEnv('HF_TOKEN', 'from outside')
    try {
      await download('owner/name', unset)
      expect(hub.seen[0]?.token).toBe('Bearer from outside')
      await download('owner/name', options)
      expect(hub.seen.at(-1)?.token).toBeUndefined()
    } finally {
      vi.unstubAllEnvs()
    }
  })

  test.each([
    [
      401,
      {},
      /the server says 401: there is no such model, or it is private; see whether its name is right, or give a token/,
    ],
    [403, { 'x-error-code': 'GatedRepo' }, /its owner has to let you in; ask for access/],
    [404, { 'x-error-code': 'RepoNotFound' }, /the server says 404: there is nothing of that name/],
    [404, { 'x-error-code': 'RevisionNotFound' }, /the model has no such revision/],
    [404, {}, /there is no folder of that name, and http.* has no model of that name with a config.json/],
    [418, {}, /which no other try will change/],
    [200, { etag: '"../../x"', 'x-repo-commit': COMMIT }, /does not answer as the hub does/],
    [200, { etag: '"abc"', 'x-repo-commit': '../..' }, /names no commit by its hash/],
    [200, { etag: '"abc"' }, /is HF_ENDPOINT right/],
  ])('%i %o', async (status, headers, message) => {
    const { hub, options } = await setUp()
    hub.before = (_, response) => {
      response.writeHead(status, headers).end()
      return true
    }
    const error = await failure(download('owner/name', options))
    expect(error).toBeInstanceOf(PretrainedError)
    expect(error.message).toMatch(message)
    expect(hub.seen).toHaveLength(1)
  })

  test('a server that is busy is asked again when it says', async () => {
    const { hub, options } = await setUp()
    let count = 0
    hub.before = (_, response) => {
      if (count++ >= 3) return false
      response.writeHead(count === 1 ? 429 : 503, { 'retry-after': '0' }).end()
      return true
    }
    // Only what the server says makes this short.
    await download('owner/name', { ...options, retryDelay: 100_000 })
    expect(count).toBeGreaterThan(3)
  })

  test('where it can not be reached the cache is taken, and without one the error says so', async () => {
    const { hub, options } = await setUp()
    hub.before = (_, response) => {
      response.writeHead(500).end()
      return true
    }
    const few = { ...options, retries: 2 }
    const error = await failure(download('owner/name', few))
    expect(error).toBeInstanceOf(PretrainedError)
    expect(error.message).toMatch(
      /can not be reached \(.*says 500; try again later\), and the cache in .* lacks the revision main/,
    )
    expect(hub.seen).toHaveLength(3)
    hub.before = () => false
    const folder = await download('owner/name', options)
    hub.before = (_, response) => {
      response.destroy()
      return true
    }
    expect(await download('owner/name', few)).toBe(folder)
    const nowhere = { ...few, endpoint: await closedEndpoint() }
    expect(await download('owner/name', nowhere)).toBe(folder)
    expect((await failure(download('owner/other', nowhere))).message).toMatch(/can not be reached \(.*ECONNREFUSED/)
  })

  test('pickled weights are not fetched', async () => {
    const { 'model.safetensors': _, ...rest } = await modelFiles()
    const hub = await hubOf({ ...rest, 'pytorch_model.bin': 'programs' })
    const options = { cache: await temporaryFolder(), endpoint: hub.endpoint, token: false as const }
    expect((await failure(download('owner/name', options))).message).toMatch(
      /pytorch_model.bin, which holds Python programs/,
    )
    expect(hub.seen.filter(({ path, method }) => path.endsWith('.bin') && method === 'GET')).toEqual([])
  })

  test('names of shards that lead elsewhere are refused', async () => {
    const { 'model.safetensors': _, ...rest } = await modelFiles()
    const index = JSON.stringify({ weight_map: { a: '../../../../evil.safetensors' } })
    const hub = await hubOf({ ...rest, 'model.safetensors.index.json': index })
    const options = { cache: await temporaryFolder(), endpoint: hub.endpoint, token: false as const }
    expect(await failure(download('owner/name', options))).toBeInstanceOf(FormatError)
    expect(hub.seen.some(({ path }) => path.includes('evil'))).toBe(false)
  })

  test('redirects without an end, and to what is no address of the web, are errors', async () => {
    const { hub, options } = await setUp()
    hub.before = (request, response) => {
      response.writeHead(302, { location: request.url }).end()
      return true
    }
    expect((await failure(download('owner/name', { ...options, retries: 0 }))).message).toMatch(/without an end/)
    hub.before = (_, response) => {
      response.writeHead(302, { location: 'file:///etc/passwd' }).end()
      return true
    }
    expect((await failure(download('owner/name', options))).message).toMatch(/file:\/\/, which is not safe/)
  })

  test('answers that go on from elsewhere are begun anew', async () => {
    const { hub, cache, options, weights } = await setUp()
    await mkdir(blobsOf(cache), { recursive: true })
    await writeFile(join(blobsOf(cache), `${sha256(weights)}.incomplete`), weights.subarray(0, 100))
    hub.beforeStored = (request, response) => {
      // As a server that knows no ranges.
      const { range: _, ...headers } = request.headers
      send(Object.assign(request, { headers }), response, weights)
      return true
    }
    const folder = await download('owner/name', options)
    expect(await readFile(join(folder, 'model.safetensors'))).toEqual(weights)
    expect(hub.stored).toHaveLength(1)
  })
})

test('offline: what the cache has, and else an error', async () => {
  const { hub, cache, options, weights } = await setUp()
  const offline = { ...options, offline: true }
  const error = await failure(fromPretrained('owner/name', offline))
  expect(error).toBeInstanceOf(PretrainedError)
  expect(error.message).toMatch(
    /the hub is not asked \(offline, HF_HUB_OFFLINE\), and the cache in .* lacks the revision main/,
  )
  const folder = await download('owner/name', options)
  hub.seen.length = 0
  expect(await download('owner/name', offline)).toBe(folder)
  vi.stubEnv('HF_HUB_OFFLINE', '1')
  vi.stubEnv('HF_HUB_CACHE', cache)
  try {
    await fromPretrained('owner/name')
  } finally {
    vi.unstubAllEnvs()
  }
  expect(hub.seen).toEqual([])

  await rm(join(folder, 'model.safetensors'))
  expect((await failure(download('owner/name', offline))).message).toMatch(/lacks model.safetensors/)
  expect(weights.length).toBeGreaterThan(0)
})

test('a folder is a folder, whatever its name; what can not be meant is refused', async () => {
  const folder = await temporaryFolder()
  expect(await download(folder, { offline: true })).toBe(folder)
  expect(await download('../nothing/here')).toBe('../nothing/here')
  await expect(download('owner/name', { revision: '../x', offline: true })).rejects.toBeInstanceOf(ArgumentError)
  await expect(download('owner/name', { endpoint: 'ftp://x' })).rejects.toThrow(/HF_ENDPOINT/)
  await expect(download(7 as never)).rejects.toBeInstanceOf(ArgumentError)
})
