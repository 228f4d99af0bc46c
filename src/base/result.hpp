// Result<T>: a value or an Error that says what happened, where, and what the user can do.
// Thread promise: plain values. Ownership: values own their strings.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <version>

#if defined(__cpp_lib_expected)
#include <expected>
namespace prony {
template <class T, class E>
using Expected = std::expected<T, E>;
template <class E>
using Unexpected = std::unexpected<E>;
}  // namespace prony
#else
#include <tl/expected.hpp>
namespace prony {
template <class T, class E>
using Expected = tl::expected<T, E>;
template <class E>
using Unexpected = tl::unexpected<E>;
}  // namespace prony
#endif

namespace prony {

// What the caller can do about it, not where it came from.
enum class ErrorCode {
  absent,       // never was there: another machine, another kernel
  denied,       // is there, but this user may not
  gone,         // was there and has left (process ended, device unplugged)
  transient,    // may work at the next try (EIO, EAGAIN)
  malformed,    // answered with something that is not what it should be
  unavailable,  // cannot work here, and the reason is in `what`
  full,         // no space, or a limit reached
  usage,        // the caller's words are off
};

[[nodiscard]] std::string_view to_string(ErrorCode code) noexcept;

struct Error {
  ErrorCode code = ErrorCode::unavailable;
  std::string what;   // what happened, one line, no full stop
  std::string where;  // file, channel or option concerned; may be empty
  std::string fix;    // what the user can do, one line or more; may be empty

  bool operator==(const Error&) const = default;
};

template <class T>
using Result = Expected<T, Error>;

// `return fail(ErrorCode::absent, "no such zone", path);`
[[nodiscard]] inline Unexpected<Error> fail(ErrorCode code, std::string what, std::string where = {},
                                            std::string fix = {}) {
  return Unexpected<Error>(Error{code, std::move(what), std::move(where), std::move(fix)});
}

// The Error for an errno value: ENOENT → absent, EACCES/EPERM → denied, ENODEV/ESRCH/ENXIO → gone, EIO/EAGAIN/EINTR →
// transient, ENOSPC/EDQUOT → full, anything else → unavailable.
[[nodiscard]] Error error_from_errno(int errno_value, std::string where, std::string what = {});

}  // namespace prony
