// The reduce cases against their references.
import { checkFamily } from './check.js'
import { CASES, ERRORS } from './reduce.js'

checkFamily('reduce', CASES, ERRORS)
