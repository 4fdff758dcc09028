// The loss cases against their references.
import { checkFamily } from './check.js'
import { CASES, ERRORS } from './loss.js'

checkFamily('loss', CASES, ERRORS)
