// The argReduce cases against their references.

import { CASES, ERRORS } from '../../lib/cases/argReduce.js'
import { checkFamily } from './check.js'

checkFamily('argReduce', CASES, ERRORS)
