// The matmul cases against their references.

import { CASES, ERRORS } from '../../lib/cases/matmul.js'
import { checkFamily } from './check.js'

checkFamily('matmul', CASES, ERRORS)
