// Every case of conformance.
import { averages } from './averages.js'
import type { Case } from './case.js'
import { initialisers } from './initialisers.js'
import { lbfgsCases } from './lbfgs.js'
import { losses } from './losses.js'
import { optimizers } from './optimizers.js'
import { schedules } from './schedules.js'
import { searches } from './searches.js'

/** By family; each family's reference is test/optim/reference/<family>.json. */
export const families: Readonly<Record<string, readonly Case[]>> = {
  optimizers,
  lbfgs: lbfgsCases,
  searches,
  schedules,
  averages,
  initialisers,
  losses,
}
