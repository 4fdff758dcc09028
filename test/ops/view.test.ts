// The view cases against their references.

import { CASES, ERRORS } from '../../lib/cases/view.js'
import { checkFamily } from './check.js'

checkFamily('view', CASES, ERRORS)
