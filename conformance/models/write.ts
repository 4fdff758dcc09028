// Writes every reference's model as heddle saves it, for conformance/models/loaded.py: node dist/conformance/models/write.js FOLDER
import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeSafetensors } from '../../lib/io/index.js'
import { fromPretrained, savePretrained } from '../../lib/models/index.js'
import { type Shapes, weightsOf } from '../../test/models/formula.js'

const references = 'test/models/reference'
const target = process.argv[2] as string
const files = readdirSync(references, { recursive: true, encoding: 'utf8' }).filter(
  (file) => file.endsWith('.json') && !/(minilm|generation|processors)\.json$/.test(file),
)
for (const file of files) {
  const { config, weights } = JSON.parse(readFileSync(join(references, file), 'utf8')) as {
    readonly config: object
    readonly weights: Shapes
  }
  const source = await mkdtemp(join(tmpdir(), 'heddle-reference-'))
  await mkdir(source, { recursive: true })
  await writeFile(join(source, 'config.json'), JSON.stringify(config))
  await writeSafetensors(join(source, 'model.safetensors'), weightsOf(weights))
  const name = file.replace('.json', '').replaceAll('/', '.')
  await savePretrained(await fromPretrained(source), join(target, name))
  await rm(source, { recursive: true })
  console.log(name)
}
