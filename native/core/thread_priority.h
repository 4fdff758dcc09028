// The priority of the threads that compute.
#pragma once

namespace heddle {

/// Puts this thread, and those that it makes from then on, below the event loop's.
void stepBack();

}  // namespace heddle
