// The view cases against their references.
import { checkFamily } from './check.js'
import { CASES, ERRORS } from './view.js'

checkFamily('view', CASES, ERRORS)
