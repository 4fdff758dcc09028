// The reduce cases against their references.

import { CASES, ERRORS } from '../../lib/cases/reduce.js'
import { checkFamily } from './check.js'

checkFamily('reduce', CASES, ERRORS)
