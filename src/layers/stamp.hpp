// The times of day in EdgeProfiler's recordings, "20241121-05:20:04.261448", as microseconds since 1970-01-01 00:00 on
// the recorder's local clock, whose zone the files do not tell. A recording holds millions of them, nearly all of one
// day: StampReader works the day out once. Source: the format is EdgeProfiler's strftime("%Y%m%d-%H:%M:%S.%f").
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace prony::layers {

// Digits after the point are one to six. Absent: it is no such stamp. Any thread.
[[nodiscard]] std::optional<std::int64_t> parse_stamp(std::string_view text) noexcept;
[[nodiscard]] std::string format_stamp(std::int64_t us);

// Gives what parse_stamp gives. Thread promise: one thread at a time.
class StampReader {
 public:
  [[nodiscard]] std::optional<std::int64_t> operator()(std::string_view text) noexcept;

 private:
  std::array<char, 9> day_{};  // "20241121-", of the last stamp that was one
  std::int64_t day_us_ = 0;
};

}  // namespace prony::layers
