// The conv cases against their references.
import { checkFamily } from './check.js'
import { CASES, ERRORS } from './conv.js'

checkFamily('conv', CASES, ERRORS)
