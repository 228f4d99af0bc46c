#include "base/result.hpp"

#include <cerrno>
#include <cstring>

namespace prony {

std::string_view to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::absent: return "absent";
    case ErrorCode::denied: return "denied";
    case ErrorCode::gone: return "gone";
    case ErrorCode::transient: return "transient";
    case ErrorCode::malformed: return "malformed";
    case ErrorCode::unavailable: return "unavailable";
    case ErrorCode::full: return "full";
    case ErrorCode::usage: return "usage";
  }
  return "unknown";
}

namespace {

ErrorCode code_from_errno(int errno_value) noexcept {
  switch (errno_value) {
    case ENOENT:
    case ENOTDIR: return ErrorCode::absent;
    case EACCES:
    case EPERM:
    case EROFS: return ErrorCode::denied;
    case ENODEV:
    case ENXIO:
    case ESRCH:
    case ENOTCONN: return ErrorCode::gone;
    case EIO:
    case EAGAIN:
    case EINTR: return ErrorCode::transient;
    case ENOSPC:
    case EDQUOT: return ErrorCode::full;
    default: return ErrorCode::unavailable;
  }
}

}  // namespace

Error error_from_errno(int errno_value, std::string where, std::string what) {
  char buffer[128] = {};
  const char* text = ::strerror_r(errno_value, buffer, sizeof buffer);  // GNU variant: returns the text
  if (!what.empty()) what += ": ";
  what += text;
  return Error{code_from_errno(errno_value), std::move(what), std::move(where), {}};
}

}  // namespace prony
