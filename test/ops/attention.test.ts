// The attention cases against their references.
import { checkFamily } from './check.js'
import { CASES, ERRORS } from './attention.js'

checkFamily('attention', CASES, ERRORS)
