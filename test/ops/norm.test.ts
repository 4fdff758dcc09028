// The norm cases against their references.

import { CASES, ERRORS } from '../../lib/cases/norm.js'
import { checkFamily } from './check.js'

checkFamily('norm', CASES, ERRORS)
