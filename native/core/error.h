// The one exception type of native code and the codes JavaScript turns into typed errors.
#pragma once

#include <stdexcept>
#include <string>

namespace heddle {

enum class ErrorCode {
  invalidArgument,  // the caller's values are wrong (an index out of range, found while running)
  invalidPlan,      // words that are no plan: a defect of ours
  outOfMemory,
  unsupported,      // this backend has no kernel for these operands
  deviceLost,
  internal,
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code(code) {}
  const ErrorCode code;
};

}  // namespace heddle
