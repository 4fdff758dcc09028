// Whether a function declared by hand is called like the library's own: as many parameters, each as large and as much a
// pointer as the other's.
#pragma once

#include <type_traits>

namespace heddle::test {

template <typename Ours, typename Theirs>
inline constexpr bool sameKind = std::is_pointer_v<Ours> == std::is_pointer_v<Theirs> &&
                                 std::is_floating_point_v<Ours> == std::is_floating_point_v<Theirs>;

template <typename Ours, typename Theirs>
constexpr bool passedAlike() {
  if constexpr (std::is_void_v<Ours> || std::is_void_v<Theirs>)
    return std::is_void_v<Ours> && std::is_void_v<Theirs>;
  else
    return sizeof(Ours) == sizeof(Theirs) && sameKind<Ours, Theirs>;
}

template <typename Ours, typename Theirs>
struct SameAbi : std::false_type {};
template <typename Result, typename... Parameters, typename TheirResult, typename... TheirParameters>
  requires(sizeof...(Parameters) == sizeof...(TheirParameters))
struct SameAbi<Result (*)(Parameters...), TheirResult (*)(TheirParameters...)>
    : std::bool_constant<passedAlike<Result, TheirResult>() && (passedAlike<Parameters, TheirParameters>() && ...)> {};

/// `ours` is a pointer to a member of a table of functions, `theirs` the function.
template <typename Ours, typename Table, typename Theirs>
constexpr bool sameAbi(Ours Table::*, Theirs*) {
  return SameAbi<Ours, Theirs*>::value;
}

}  // namespace heddle::test
