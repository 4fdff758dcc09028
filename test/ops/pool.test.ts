// The pool cases against their references.
import { checkFamily } from './check.js'
import { CASES, ERRORS } from './pool.js'

checkFamily('pool', CASES, ERRORS)
