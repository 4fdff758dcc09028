// What the real cuDNN is asked to plan.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "../../core/error.h"

namespace heddle::test {

struct Planned {
  size_t engines;      // that heddle would try
  bool plan;           // whether one of them makes a plan
  std::string reason;  // where there is none, what the last of them said
};

/// Whether `make` gives a plan for one of the engines.
template <typename Engines, typename Make>
Planned planWith(const Engines& engines, Make&& make) {
  Planned planned{engines.size(), false, "no engine"};
  for (const auto& engine : engines) try {
      make(engine);
      planned.plan = true;
      return planned;
    } catch (const Error& refused) {
      planned.reason = refused.what();
    }
  return planned;
}

struct PlannedCase {
  std::string name;
  std::function<Planned()> plan;  // for the device that is used
};

std::vector<PlannedCase> convolutions();
std::vector<PlannedCase> attentions();

}  // namespace heddle::test
