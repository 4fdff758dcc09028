// The two 16-bit floats as bits. Includes nothing, for sources that are compiled at run time include it too.
#pragma once

namespace heddle {

struct BFloat16 {
  unsigned short bits;
};
struct Float16 {
  unsigned short bits;
};

}  // namespace heddle
