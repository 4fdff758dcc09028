// Asks a process of its own about a kind of device; however that ends, this one goes on.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { DeviceKind } from '../../runtime/binding.js'
import type { Probe } from './diagnosis.js'

/** A driver that hangs is as broken as one that crashes. */
const PATIENCE_MS = 120_000

/** What the kind's process found out, or that there is no addon and why. */
export function probe(kind: DeviceKind, patienceMs = PATIENCE_MS): Promise<Probe | { readonly addon: string }> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./child.js', import.meta.url)), kind], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = { out: '', error: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    // Of a crash's many words the last ones.
    said.error = (said.error + text).slice(-2000)
  })
  let late = false
  const timer = setTimeout(() => {
    late = true
    child.kill('SIGKILL')
  }, patienceMs)
  return new Promise((resolve) => {
    let over = false
    const end = (crash: string): void => {
      if (over) return
      over = true
      clearTimeout(timer)
      if (crash) return resolve({ library: '', error: crash, libraries: [], devices: [], checks: [], crash })
      const found = JSON.parse(said.out) as Omit<Probe, 'crash'> | { readonly addon: string }
      resolve('addon' in found ? found : { ...found, crash: '' })
    }
    child.on('error', (error) => end(`the process that probes it can not be started: ${error.message}`))
    child.on('close', (code, signal) => {
      if (late) end(`the process that probed it did not answer within ${patienceMs / 1000} seconds`)
      else if (signal) end(`the process that probed it was ended by ${signal}`)
      else if (code !== 0 || !isJson(said.out))
        end(`the process that probed it ended with exit code ${code}${said.error ? `: ${lastLine(said.error)}` : ''}`)
      else end('')
    })
  })
}

function isJson(text: string): boolean {
  try {
    return typeof JSON.parse(text) === 'object'
  } catch {
    return false
  }
}

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? ''
