// Which of two elements a maximum keeps, with its position; included once per instruction-set level.

/// Of equal elements the first stays; NaN wins, and the last of several.
template <typename V, typename P>
HEDDLE_INLINE void keepLarger(V value, P position, V& best, P& at) {
  // Asked this way round, GCC selects by the comparisons as they are, without turning a mask around first.
  const P stays = ~(value > best) & (value == value);
  best = stays ? best : value;
  at = stays ? at : position;
}
