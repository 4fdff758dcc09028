// The activation cases against their references.
import { CASES, ERRORS } from '../../lib/cases/activation.js'
import { checkFamily } from './check.js'

checkFamily('activation', CASES, ERRORS)
