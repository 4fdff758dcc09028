// The process that opens a kind of device and computes on it, so that what is broken there ends nothing else.
//   node child.js cpu|cuda: writes a Probe, or { addon } with why there is none, as JSON to standard output.
import { binding, type DeviceKind } from '../../runtime/binding.js'
import { check } from './checks.js'
import type { Check, Probe } from './diagnosis.js'

async function probe(kind: DeviceKind): Promise<Omit<Probe, 'crash'> | { readonly addon: string }> {
  let addon: ReturnType<typeof binding>
  try {
    addon = binding()
  } catch (error) {
    return { addon: (error as Error).message }
  }
  const inspection = addon.inspect(kind)
  const devices = inspection.error ? [] : addon.devices(kind)
  const checks: Check[] = []
  const complete = inspection.libraries.every(({ found }) => found)
  if (complete) for (const { name } of devices) checks.push(...(await check(name)))
  return { ...inspection, devices, checks }
}

process.stdout.write(JSON.stringify(await probe(process.argv[2] as DeviceKind)), () => process.exit(0))
