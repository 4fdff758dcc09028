// The attention cases against their references.
import { CASES, ERRORS } from './attention.js'
import { checkFamily } from './check.js'

checkFamily('attention', CASES, ERRORS)
