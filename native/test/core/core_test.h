// Tests of the core that need no device.
#pragma once

namespace heddle::test {

/// Counts, and says what failed.
void expect(bool condition, const char* what);

void testExecutor();
void testHeap();
void testPlacement();
void testSpinning();
void testWalks();

}  // namespace heddle::test
