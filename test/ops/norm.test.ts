// The norm cases against their references.
import { checkFamily } from './check.js'
import { CASES, ERRORS } from './norm.js'

checkFamily('norm', CASES, ERRORS)
