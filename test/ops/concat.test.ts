// The concat cases against their references.

import { CASES, ERRORS } from '../../lib/cases/concat.js'
import { checkFamily } from './check.js'

checkFamily('concat', CASES, ERRORS)
