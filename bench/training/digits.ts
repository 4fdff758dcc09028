// Augmented digits as worker threads load them: images of 28 x 28, cropped at random and turned.

import { loadDigits } from '../../examples/digits.js'
import {
  compose,
  dataset,
  type HostArray,
  type IndexedDataset,
  randomCrop,
  randomRotation,
} from '../../lib/data/index.js'

const PIXELS = 28 * 28

export function augmented(): IndexedDataset<{ readonly image: HostArray; readonly label: number }> {
  const { images, labels } = loadDigits().train
  const augment = compose(randomCrop({ height: 28, width: 28, padding: 2 }), randomRotation({ degrees: 10 }))
  return dataset(Array.from(labels, (_, i) => i)).map((i, { random }) => ({
    image: augment(
      { data: images.subarray(i * PIXELS, (i + 1) * PIXELS), shape: [1, 28, 28], dtype: 'f32' as const },
      random,
    ),
    label: labels[i] as number,
  }))
}
