// C++ face of libprony: spans that end with their scopes. See prony/prony.h for the promises. Header only, C++17.
#pragma once

#include <prony/prony.h>

#include <cstdint>
#include <exception>
#include <utility>

namespace prony {

class ScopedSpan {
 public:
  explicit ScopedSpan(int kind, const char* name = nullptr, prony_span parent = 0) noexcept
      : span_(::prony_span_begin(kind, name, parent)), exceptions_(std::uncaught_exceptions()) {}
  ScopedSpan(ScopedSpan&& other) noexcept : span_(std::exchange(other.span_, 0)), exceptions_(other.exceptions_) {}
  ScopedSpan(const ScopedSpan&) = delete;
  ScopedSpan& operator=(const ScopedSpan&) = delete;
  ScopedSpan& operator=(ScopedSpan&&) = delete;
  ~ScopedSpan() { end(std::uncaught_exceptions() > exceptions_ ? PRONY_FAILED : PRONY_OK); }

  void count(const char* key, std::int64_t value) noexcept { ::prony_span_count(span_, key, value); }
  void attribute(const char* key, const char* value) noexcept { ::prony_span_attribute(span_, key, value); }
  void end(int status = PRONY_OK) noexcept {
    if (span_ != 0) ::prony_span_end(std::exchange(span_, 0), status);
  }
  [[nodiscard]] prony_span id() const noexcept { return span_; }

 private:
  prony_span span_ = 0;
  int exceptions_ = 0;
};

namespace detail {
inline thread_local prony_span innermost = 0;  // of this thread; of each shared library its own where names are hidden
}  // namespace detail

// The innermost prony::Span of the calling thread; 0: none. What to give to another thread as its parent.
[[nodiscard]] inline prony_span current_span() noexcept { return detail::innermost; }

// A named span inside the one that is open on this thread. Spans of a thread end in the reverse order of their begin,
// which scopes see to: it can be neither moved nor ended early (ScopedSpan can).
class Span {
 public:
  explicit Span(const char* name, int kind = PRONY_USER) noexcept : Span(name, kind, current_span()) {}
  // Inside `parent`, which another thread began.
  Span(const char* name, int kind, prony_span parent) noexcept : outer_(detail::innermost), span_(kind, name, parent) {
    if (span_.id() != 0) detail::innermost = span_.id();
  }
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;
  ~Span() { detail::innermost = outer_; }

  Span& count(const char* key, std::int64_t value) noexcept { return span_.count(key, value), *this; }
  Span& attribute(const char* key, const char* value) noexcept { return span_.attribute(key, value), *this; }
  [[nodiscard]] prony_span id() const noexcept { return span_.id(); }

 private:
  prony_span outer_;
  ScopedSpan span_;
};

}  // namespace prony
