// Memory that is walked from front to back, asked for a page ahead: processors foresee lines only up to the end of a
// page. Included once per instruction-set level.

/// (Where there is none a prefetch is ignored.)
HEDDLE_INLINE void fetchPageAhead(const void* from) { __builtin_prefetch(static_cast<const char*>(from) + 4096); }
