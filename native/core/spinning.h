// How long threads that compute spin for one another before they sleep.
#pragma once

namespace heddle {

/// One round of such spinning on this processor, in nanoseconds.
double pauseNanoseconds();

/// Tells OpenMP's runtime, which reads its environment once, as it is loaded: so this comes before. What the user's
/// environment says of it stays.
void limitSpinning();

}  // namespace heddle
