// The softmax cases against their references.
import { checkFamily } from './check.js'
import { CASES, ERRORS } from './softmax.js'

checkFamily('softmax', CASES, ERRORS)
