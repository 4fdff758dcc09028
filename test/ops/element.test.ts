// Elementwise ops against their references.

import { CASES, ERRORS } from '../../lib/cases/element.js'
import { checkFamily } from './check.js'

checkFamily('element', CASES, ERRORS)
