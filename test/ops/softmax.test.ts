// The softmax cases against their references.

import { CASES, ERRORS } from '../../lib/cases/softmax.js'
import { checkFamily } from './check.js'

checkFamily('softmax', CASES, ERRORS)
