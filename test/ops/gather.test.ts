// The gather cases against their references.
import { checkFamily } from './check.js'
import { CASES, ERRORS } from './gather.js'

checkFamily('gather', CASES, ERRORS)
