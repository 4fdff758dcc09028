// The matmul cases against their references.
import { checkFamily } from './check.js'
import { CASES, ERRORS } from './matmul.js'

checkFamily('matmul', CASES, ERRORS)
