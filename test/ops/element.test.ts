// Elementwise ops against their references.
import { checkFamily } from './check.js'
import { CASES, ERRORS } from './element.js'

checkFamily('element', CASES, ERRORS)
