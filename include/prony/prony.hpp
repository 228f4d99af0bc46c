// C++ face of libprony: a span that ends with its scope. See prony/prony.h for the promises.
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

}  // namespace prony
