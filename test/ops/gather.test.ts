// The gather cases against their references.

import { CASES, ERRORS } from '../../lib/cases/gather.js'
import { checkFamily } from './check.js'

checkFamily('gather', CASES, ERRORS)
