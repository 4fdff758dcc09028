// Memory that is walked from front to back: processors foresee lines only up to the end of a page, and each of several
// streams by itself. So it is asked for a page ahead, or walked in parts. Included once per instruction-set level.

/// (Where there is none a prefetch is ignored.)
HEDDLE_INLINE void fetchPageAhead(const void* from) { __builtin_prefetch(static_cast<const char*>(from) + 4096); }

/// From so many bytes on it is walked in four parts, of a page each and more.
constexpr int64_t kLeastOfStreams = 16 << 10;
