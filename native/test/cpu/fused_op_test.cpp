#include "families.h"
namespace heddle::test { void testFusedOps() {} void timeFused() {} }
