// The pool cases against their references.

import { CASES, ERRORS } from '../../lib/cases/pool.js'
import { checkFamily } from './check.js'

checkFamily('pool', CASES, ERRORS)
