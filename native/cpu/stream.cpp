// Stores past the caches, for the processor at hand.
#include "stream.h"

#include <cmath>
#include <limits>

#include "../core/element.h"
#include "levels.h"

#define HEDDLE_LOOPS "stream_loops.h"
#include "for_each_level.h"

namespace heddle {

void streamCopy(void* to, const void* from, int64_t bytes, const void* next) {
  HEDDLE_DISPATCH(streamAll)
  (static_cast<char*>(to), static_cast<const char*>(from), bytes, static_cast<const char*>(next));
}

void endStreams() { base::streamEnd(); }

}  // namespace heddle
