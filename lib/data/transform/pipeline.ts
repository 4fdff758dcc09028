// Transforms one after the other, fitted and saved as one.
import { ArgumentError } from '../../runtime/errors.js'
import type { Columns } from '../columns.js'
import { register, Transform, type TransformJSON, transformFromJSON } from './transform.js'

interface Steps {
  readonly steps: readonly TransformJSON[]
}

/**
 * Each transform is fitted on what those before it made of the training data.
 *
 * @example const prepare = await new Pipeline([new SimpleImputer(), new StandardScaler(), new OneHotEncoder()]).fit(train)
 */
export class Pipeline extends Transform<Steps, Steps> {
  readonly type = 'Pipeline'
  private readonly transforms: readonly Transform[]

  /** Throws `ArgumentError` for what is no list of transforms. */
  constructor(transforms: readonly Transform[]) {
    if (!Array.isArray(transforms) || !transforms.every((one) => one instanceof Transform)) {
      throw new ArgumentError('Pipeline: it takes a list of transforms')
    }
    super({ steps: [] })
    this.transforms = transforms
  }

  /** All columns go in: each transform says itself which it needs. */
  protected override get needed(): undefined {
    return undefined
  }

  protected learn(columns: Columns): Steps {
    let current = columns
    for (const one of this.transforms) current = one.fit(current).transform(current)
    return { steps: this.transforms.map((one) => one.toJSON()) }
  }

  /** @internal What the first transforms need and none before them makes. */
  inputs(): readonly string[] {
    const made = new Set<string>()
    const needed = new Set<string>()
    for (const one of this.transforms) {
      for (const name of one.inputs(one.fitted)) if (!made.has(name)) needed.add(name)
      for (const name of outputsOf(one)) made.add(name)
    }
    return [...needed]
  }

  /** The columns it adds, in order. */
  get outputs(): string[] {
    return this.transforms.flatMap(outputsOf)
  }

  protected apply(columns: Columns): Columns {
    return this.transforms.reduce((current, one) => one.transform(current), columns)
  }

  override toJSON(): TransformJSON {
    return {
      type: this.type,
      options: { steps: this.transforms.map((one) => one.toJSON()) },
      fitted: super.toJSON().fitted && { steps: [] },
    }
  }
}

function outputsOf(one: Transform): readonly string[] {
  const { outputs, fitted } = one as Transform & { outputs?: readonly string[] }
  const { names = [], marked = [] } = fitted as { names?: readonly string[]; marked?: readonly string[] }
  return [
    ...(outputs ?? []),
    ...[...marked, ...(one.type === 'MissingIndicator' ? names : [])].map((name) => `${name}_missing`),
  ]
}

register('Pipeline', ({ steps }: Steps) => new Pipeline(steps.map(transformFromJSON)))
