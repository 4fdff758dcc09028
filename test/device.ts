// Tests run on the device that HEDDLE_TEST_DEVICE names; by default on the CPU.
import { setDefaultDevice } from '../lib/index.js'

const device = process.env['HEDDLE_TEST_DEVICE']
if (device) setDefaultDevice(device)
