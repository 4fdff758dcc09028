// The conv cases against their references.

import { CASES, ERRORS } from '../../lib/cases/conv.js'
import { checkFamily } from './check.js'

checkFamily('conv', CASES, ERRORS)
