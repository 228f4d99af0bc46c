// Errors on their way out of the C ABI: a code for the caller, the words kept for prony_last_error(). Nothing thrown
// passes guard(). Thread promise: the words are of the calling thread.
#pragma once

#include <prony/meter.h>

#include <exception>
#include <new>
#include <string>
#include <type_traits>

#include "base/result.hpp"

namespace prony::library {

// A call at a wrong time; the other codes follow from ErrorCode.
struct WrongState {
  std::string what, fix;
};

[[nodiscard]] int code_of(ErrorCode code) noexcept;
// Keeps the words and gives the code.
int tell(const Error& error);
int tell(const WrongState& state);
int tell_memory() noexcept;
int tell_bug(const char* what) noexcept;
// A null pointer where something must be.
int tell_missing(const char* argument);

// Runs `body`, which gives a code.
template <class Body>
int guard(Body&& body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return tell_memory();
  } catch (const std::exception& error) {
    return tell_bug(error.what());
  } catch (...) {
    return tell_bug("an exception of no known kind");
  }
}

}  // namespace prony::library
