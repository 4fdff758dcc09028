// The activation cases against their references.
import { CASES, ERRORS } from './activation.js'
import { checkFamily } from './check.js'

checkFamily('activation', CASES, ERRORS)
