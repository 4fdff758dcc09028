// The one exception type of native code and the codes JavaScript turns into typed errors.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

namespace heddle {

enum class ErrorCode {
  invalidArgument,  // the caller's values are wrong (an index out of range, found while running)
  invalidPlan,      // words that are no plan: a defect of ours
  outOfMemory,
  unsupported,  // this backend has no kernel for these operands
  deviceLost,
  internal,
};

inline const char* errorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalidArgument: return "invalidArgument";
    case ErrorCode::invalidPlan: return "invalidPlan";
    case ErrorCode::outOfMemory: return "outOfMemory";
    case ErrorCode::unsupported: return "unsupported";
    case ErrorCode::deviceLost: return "deviceLost";
    case ErrorCode::internal: break;
  }
  return "internal";
}

/// Backends throw it and the executor, in another library, catches it: GCC's runtime knows a type there by its name.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code(code) {}
  const ErrorCode code;
};

/// What a step of a plan threw, and which step it was; -1 where no step is to blame.
struct StepError {
  Error error;
  int64_t step;
};

/// Why a job did not deliver. Buffers it should have written carry it, and so do the jobs that read those.
struct Failure {
  ErrorCode code;
  std::string message;
  uint64_t origin;  // the ticket of the job that failed first
  int64_t step;     // the plan step it failed at; -1 where no plan ran
  bool stateLost;   // cells may have been written in part
};

using FailurePointer = std::shared_ptr<const Failure>;

}  // namespace heddle
