#include "library/error.hpp"

#include <array>
#include <cstring>

namespace prony::library {

namespace {

// A fixed size, so that "out of memory" can be said without any; plain, so that it needs no destructor at thread end.
constinit thread_local std::array<char, 2048> last_words{};

void keep(const char* text) noexcept {
  const std::size_t length = ::strnlen(text, last_words.size() - 1);
  std::memcpy(last_words.data(), text, length);
  last_words[length] = '\0';
}

}  // namespace

int code_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::absent: return PRONY_ERROR_ABSENT;
    case ErrorCode::denied: return PRONY_ERROR_DENIED;
    case ErrorCode::gone: return PRONY_ERROR_GONE;
    case ErrorCode::transient: return PRONY_ERROR_TRANSIENT;
    case ErrorCode::malformed: return PRONY_ERROR_MALFORMED;
    case ErrorCode::unavailable: return PRONY_ERROR_UNAVAILABLE;
    case ErrorCode::full: return PRONY_ERROR_FULL;
    case ErrorCode::usage: return PRONY_ERROR_USAGE;
  }
  return PRONY_ERROR_INTERNAL;
}

int tell(const Error& error) {
  std::string text = error.what;
  if (!error.where.empty()) text += ": " + error.where;
  if (!error.fix.empty()) text += "\n" + error.fix;
  keep(text.c_str());
  return code_of(error.code);
}

int tell(const WrongState& state) {
  keep((state.fix.empty() ? state.what : state.what + "\n" + state.fix).c_str());
  return PRONY_ERROR_STATE;
}

int tell_memory() noexcept {
  keep("out of memory");
  return PRONY_ERROR_MEMORY;
}

int tell_bug(const char* what) noexcept {
  keep(what);
  return PRONY_ERROR_INTERNAL;
}

int tell_missing(const char* argument) { return tell(Error{ErrorCode::usage, "a null pointer", argument, {}}); }

}  // namespace prony::library

extern "C" __attribute__((visibility("default"))) const char* prony_last_error(void) {
  return prony::library::last_words.data();
}
