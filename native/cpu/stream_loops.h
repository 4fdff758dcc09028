// Stores that pass the caches by, for results that these would not keep: a line that is written as a whole is then not
// fetched first. Included once per instruction-set level. streamEnd() comes before another thread is told of them.

#if defined(__x86_64__)

#if HEDDLE_VECTOR_BYTES == 64
typedef long long StreamPart __attribute__((vector_size(64)));
HEDDLE_INLINE void streamPart(char* to, StreamPart part) {
  __builtin_ia32_movntdq512(reinterpret_cast<StreamPart*>(to), part);
}
#elif HEDDLE_VECTOR_BYTES == 32
typedef long long StreamPart __attribute__((vector_size(32)));
HEDDLE_INLINE void streamPart(char* to, StreamPart part) {
  __builtin_ia32_movntdq256(reinterpret_cast<StreamPart*>(to), part);
}
#else
typedef long long StreamPart __attribute__((vector_size(16)));
HEDDLE_INLINE void streamPart(char* to, StreamPart part) {
  __builtin_ia32_movntdq(reinterpret_cast<StreamPart*>(to), part);
}
#endif

HEDDLE_INLINE void streamEnd() { __builtin_ia32_sfence(); }

/// What lies before the first whole line of `to` and behind the last goes through the caches. With each line one of
/// what is read next is asked for from each of `ahead`, so that memory has both to do. (Where there is none that is
/// ignored.)
HEDDLE_INLINE void streamBytes(char* to, const char* from, int64_t bytes, const char* const* ahead = nullptr,
                               int64_t aheadCount = 0) {
  const int64_t before = static_cast<int64_t>(-reinterpret_cast<uintptr_t>(to) % 64);
  int64_t done = before < bytes ? before : bytes;
  __builtin_memcpy(to, from, static_cast<size_t>(done));
  for (; done + 64 <= bytes; done += 64) {
    for (int64_t i = 0; i < aheadCount; i++) __builtin_prefetch(ahead[i] + done);
#pragma GCC unroll 4
    for (int64_t part = 0; part < 64; part += static_cast<int64_t>(sizeof(StreamPart))) {
      StreamPart next;
      __builtin_memcpy(&next, from + done + part, sizeof next);
      streamPart(to + done + part, next);
    }
  }
  __builtin_memcpy(to + done, from + done, static_cast<size_t>(bytes - done));
}

#else

HEDDLE_INLINE void streamEnd() {}
HEDDLE_INLINE void streamBytes(char* to, const char* from, int64_t bytes, const char* const* = nullptr, int64_t = 0) {
  __builtin_memcpy(to, from, static_cast<size_t>(bytes));
}

#endif

inline void streamAll(char* to, const char* from, int64_t bytes, const char* next) {
  if (next) return streamBytes(to, from, bytes, &next, 1);
  streamBytes(to, from, bytes);
}
