// An ES module; the rooms under their subpaths are the same modules as the whole's.
import * as heddle from 'heddle'
import * as functional from 'heddle/functional'
import { Linear } from 'heddle/nn'
import { AdamW } from 'heddle/optim'
import { train } from './training.mjs'

if (Linear !== heddle.nn.Linear || AdamW !== heddle.optim.AdamW || functional.relu !== heddle.functional.relu)
  throw new Error('a room has a second copy of what it exports')
console.log(JSON.stringify(await train(heddle)))
