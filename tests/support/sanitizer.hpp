// Whether this test program was built with a sanitizer: what a test may ask of memory and of loading libraries then
// differs.
#pragma once

namespace prony::test {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool address_sanitizer = true;
#elif defined(__has_feature)
inline constexpr bool address_sanitizer = __has_feature(address_sanitizer);
#else
inline constexpr bool address_sanitizer = false;
#endif

#if defined(__SANITIZE_THREAD__)
inline constexpr bool thread_sanitizer = true;
#elif defined(__has_feature)
inline constexpr bool thread_sanitizer = __has_feature(thread_sanitizer);
#else
inline constexpr bool thread_sanitizer = false;
#endif

// Memory that was freed stays resident under a sanitizer, so growth says nothing.
inline constexpr bool memory_counts = !address_sanitizer && !thread_sanitizer;

}  // namespace prony::test
