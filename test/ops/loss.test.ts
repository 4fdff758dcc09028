// The loss cases against their references.

import { CASES, ERRORS } from '../../lib/cases/loss.js'
import { checkFamily } from './check.js'

checkFamily('loss', CASES, ERRORS)
