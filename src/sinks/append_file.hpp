// AppendFile: a text file that grows by whole lines, outlives kill -9 and is turned over by size or age. Every line
// goes out in one write(2), so a crash leaves one torn line at most; at the next opening it is recognised (no line end)
// and cut off. A full disk loses the line concerned and never half of it. One writer per file: a lock tells of another.
// Thread promise: one thread at a time. Errors: denied, absent, full as the system tells; usage (somebody else writes
// it, or it holds something else); each names the file. "-" as path is standard output, which never turns over.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "sinks/stream.hpp"

namespace prony {

struct TurnOver {
  std::optional<std::uint64_t> bytes = {};  // before the file would grow beyond this
  std::optional<Duration> age = {};         // when its first line is this old
  std::optional<std::uint64_t> keep = {};   // so many turned files at most; absent: all
};
// From the options rotate-size, rotate-every, keep, which no other may accompany. Errors: usage.
[[nodiscard]] Result<TurnOver> turn_over_of(const SinkSpec& spec);

class AppendFile {
 public:
  // `header`: the first line of every file, without its end; `family`: what a header of such a file begins with,
  // whatever its columns. Lines end with `line_end`.
  [[nodiscard]] static Result<AppendFile> open(std::string path, std::string header, std::string family,
                                               std::string line_end, TurnOver turn_over, std::int64_t wall_ns);

  // `line` without its end; `wall_ns`: now.
  [[nodiscard]] Result<void> append(std::string_view line, std::int64_t wall_ns);
  [[nodiscard]] Result<void> close();
  [[nodiscard]] std::vector<std::string> take_notes();

 private:
  AppendFile() = default;
  [[nodiscard]] Result<void> open_file(std::int64_t wall_ns);
  [[nodiscard]] Result<void> open_and_begin(std::int64_t wall_ns);
  [[nodiscard]] Result<void> mend(std::int64_t wall_ns);
  [[nodiscard]] Result<void> put(std::string_view text);
  [[nodiscard]] Result<void> turn(std::int64_t wall_ns);
  void forget_old();
  [[nodiscard]] bool is_stdout() const { return path_ == "-"; }

  std::string path_, header_, family_, line_end_;
  TurnOver turn_over_;
  Fd fd_;
  std::uint64_t bytes_ = 0;
  std::int64_t began_ns_ = 0;       // wall clock: when the file got its first line
  std::int64_t synced_ns_ = 0;      // wall clock
  std::int64_t turn_again_ns_ = 0;  // not before, after one that was refused
  std::string buffer_;
  std::vector<std::string> notes_;
};

}  // namespace prony
