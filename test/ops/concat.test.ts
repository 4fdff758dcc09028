// The concat cases against their references.
import { checkFamily } from './check.js'
import { CASES, ERRORS } from './concat.js'

checkFamily('concat', CASES, ERRORS)
