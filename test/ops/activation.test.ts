// The activation cases against their references.
import { checkFamily } from './check.js'
import { CASES, ERRORS } from './activation.js'

checkFamily('activation', CASES, ERRORS)
