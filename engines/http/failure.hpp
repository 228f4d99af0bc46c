// Failure: what went wrong, as the worker protocol tells it, and the value-or-failure that everything here gives.
// Codes are those of docs/worker-protocol.md. Plain data.
#pragma once

#include <string>
#include <tl/expected.hpp>

namespace prony_http {

struct Failure {
  std::string code;     // "unreachable", "denied", "busy", "refused", "context", "model", "timeout", "stream", …
  std::string message;  // one line, what the user can do included where we know it
};
template <class T>
using Fallible = tl::expected<T, Failure>;

inline tl::unexpected<Failure> failed(std::string code, std::string message) {
  return tl::unexpected<Failure>(Failure{std::move(code), std::move(message)});
}

}  // namespace prony_http
