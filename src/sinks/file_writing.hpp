// What the files that sinks append to have in common.
#pragma once

#include <cerrno>
#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace prony {

inline constexpr std::int64_t sync_every_ns = 5'000'000'000;  // what a power cut may take; kill -9 takes nothing

// What the system just said of `path`.
[[nodiscard]] inline Unexpected<Error> failed_at(const std::string& path, const char* what) {
  return Unexpected<Error>(error_from_errno(errno, path, what));
}

}  // namespace prony
