// What the real cuDNN is asked to plan.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace heddle::test {

struct Planned {
  size_t engines;      // that heddle would try
  bool plan;           // whether one of them makes a plan
  std::string reason;  // where there is none, what the last of them said
};

struct PlannedCase {
  std::string name;
  std::function<Planned()> plan;  // for the device that is used
};

std::vector<PlannedCase> convolutions();
std::vector<PlannedCase> attentions();

}  // namespace heddle::test
