// IntegerFile: a kept-open file that holds one integer, as sysfs writes them; the one place where sensor values are
// read from text. Strict: digits (a minus only in gauges), then at most white space, and nothing else. What cannot be
// read is a gap with a reason, never a number. Cost: one virtual call, one pread, one pass over the digits; no
// allocation, no locale, no clock unless it fails. Thread promise: read() from one thread; fault() from any. Ownership:
// owns its File; the Machine must outlive it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/result.hpp"
#include "machine/machine.hpp"
#include "model/sample.hpp"

namespace prony {

// What integers a file may hold. unsigned_64 keeps the bits of counters above 2^63.
enum class IntegerSign { signed_64, unsigned_64 };

enum class ParseFault : std::int8_t { none, empty, negative, not_a_number, too_large };

// `text` as a whole. On a fault `value` is untouched.
[[nodiscard]] ParseFault parse_sensor_integer(std::span<const char> text, IntegerSign sign,
                                              std::int64_t& value) noexcept;

class IntegerFile {
 public:
  // Opens `path`; does not read.
  [[nodiscard]] static Result<IntegerFile> open(Machine& machine, const std::string& path, IntegerSign sign);

  // The value now, or a gap. After a failure the path is opened again, at most once a second.
  [[nodiscard]] Reading read() noexcept {
    char buffer[buffer_bytes];
    const auto count = file_->read(buffer);
    std::int64_t value = 0;
    if (count > 0 && count < static_cast<std::int64_t>(sizeof buffer) &&
        parse_sensor_integer({buffer, static_cast<std::size_t>(count)}, sign_, value) == ParseFault::none) [[likely]] {
      if (fault_ != 0) std::atomic_ref(fault_).store(0, std::memory_order_relaxed);
      return {value, Quality::ok};
    }
    return failed({buffer, sizeof buffer}, count);
  }

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  // Why the last read() was a gap; code `transient` or `gone` or `malformed`; nullopt: it was not.
  [[nodiscard]] std::optional<Error> fault() const;
  // Why reads were gaps since this was last asked, also if the file can be read again by now; any thread.
  [[nodiscard]] std::optional<Error> take_fault();

 private:
  // The longest 64-bit integer takes 20 characters and its line end one; a text that fills the buffer is no integer.
  static constexpr std::size_t buffer_bytes = 40;

  IntegerFile() = default;
  Reading failed(std::span<const char> buffer, std::int64_t count) noexcept;
  [[nodiscard]] std::optional<Error> told(int fault) const;

  Machine* machine_ = nullptr;
  std::unique_ptr<File> file_;
  std::string path_;
  IntegerSign sign_ = IntegerSign::signed_64;
  mutable int fault_ = 0;  // errno > 0, or −ParseFault
  int untold_ = 0;         // the same, until somebody asked
  std::int64_t next_reopen_ns_ = INT64_MIN;
};

}  // namespace prony
