// A real publish to a registry on this machine: what its manifest shows is what npm looks at when users install.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { emptyFolder, packages } from './folders.js'
import type { Results } from './results.js'
import { tools } from './tools.js'

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  await new Promise((done) => server.close(done))
  return port
}

const CONFIGURATION = `storage: ./storage
auth: { htpasswd: { file: ./htpasswd } }
packages: { '**': { access: $all, publish: $all, unpublish: $all } }
max_body_size: 200mb
log: { type: stdout, format: pretty, level: warn }
`

/** Publishing keeps this process waiting for longer than connections are kept. */
const ONCE = { headers: { connection: 'close' } }

async function start(folder: string): Promise<{ readonly url: string; readonly server: ChildProcess }> {
  writeFileSync(join(folder, 'config.yaml'), CONFIGURATION)
  const url = `http://127.0.0.1:${await freePort()}`
  const verdaccio = join(tools, 'node_modules/verdaccio/bin/verdaccio')
  const server = spawn(process.execPath, [verdaccio, '--config', join(folder, 'config.yaml'), '--listen', url], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  server.stderr?.on('data', (text: Buffer) => {
    said += text.toString()
  })
  for (let tries = 0; tries < 300; tries++) {
    if (server.exitCode !== null) throw new Error(`verdaccio ended: ${said.slice(0, 500)}`)
    if (
      await fetch(`${url}/-/ping`, ONCE).then(
        (answer) => answer.ok,
        () => false,
      )
    )
      return { url, server }
    await sleep(100)
  }
  server.kill()
  throw new Error('verdaccio does not answer')
}

interface Shown {
  readonly versions: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly 'dist-tags': { readonly latest: string }
}

/** Publishes every package and looks at what the registry shows of it. */
export async function checkRegistry(results: Results): Promise<void> {
  const folder = emptyFolder('registry')
  let started: { readonly url: string; readonly server: ChildProcess } | undefined
  for (const { name, file } of packages())
    await results.check('registry', `${name}: published, with no script in its manifest`, async () => {
      started ??= await start(folder)
      const { url } = started
      const registry = url.replace(/^http:/, '')
      writeFileSync(join(folder, '.npmrc'), `registry=${url}/\n${registry}/:_authToken=anyone\n`)
      execFileSync('npm', ['publish', file, '--ignore-scripts=false', '--provenance=false', '--silent'], {
        cwd: folder,
        env: { ...process.env, npm_config_userconfig: join(folder, '.npmrc') },
        stdio: ['ignore', 'ignore', 'inherit'],
      })
      const shown = (await (await fetch(`${url}/${name}`, ONCE)).json()) as Shown
      const manifest = shown.versions[shown['dist-tags'].latest] ?? {}
      for (const key of ['scripts', 'gypfile', 'hasInstallScript', 'devDependencies']) {
        const value = manifest[key]
        if (value !== undefined && value !== false && Object.keys(value as object).length > 0)
          throw new Error(`its manifest has ${key}: ${JSON.stringify(value)}`)
        if (key === 'gypfile' && value !== undefined) throw new Error('its manifest has gypfile')
      }
      return { fields: Object.keys(manifest).length }
    })
  started?.server.kill()
}
