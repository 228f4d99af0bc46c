// MachinePeaks: what this machine computed and read at most in a short benchmark, kept for later Runs: the denominators
// of MFU and MBU. FLOP/s and bytes/s, each with the middle of its repetitions; wall-clock ns since 1970. Pure; plain
// data. Errors: malformed (not such a file).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/manifest.hpp"

namespace prony::calibrate {

struct Rate {
  double best = 0, median = 0;  // per second
  std::int64_t repetitions = 0;
};

struct MachinePeaks {
  std::int64_t taken_wall_ns = 0;
  std::string machine;       // processor, board and CPUs, in words
  std::int64_t threads = 0;  // that computed and read at once
  std::string instructions;  // of the loop of multiply-adds: "avx512f", "avx2", "neon", "portable"
  Rate flop;                 // of 32-bit numbers; 1 multiply-add = 2
  Rate read;                 // bytes of an array that is only read
  Rate triad;                // a = b + s · c, 24 bytes an element, as STREAM counts them
  std::int64_t array_bytes = 0;
  std::optional<std::int64_t> cache_bytes;  // of the last level; absent: not told by this machine

  [[nodiscard]] double bytes_per_s() const noexcept { return read.best > triad.best ? read.best : triad.best; }
  // Arrays of less than four times the cache (STREAM's rule) may have been read from it in part.
  [[nodiscard]] bool arrays_small() const noexcept { return cache_bytes && array_bytes < 4 * *cache_bytes; }
  // Other work took a part of the machine: the middle repetition is far below the best.
  [[nodiscard]] bool unsteady() const noexcept;
};

// "measured 2026-11-22, 2 threads, f32 avx512f"
[[nodiscard]] std::string words_of(const MachinePeaks& peaks);
// What a Run keeps of them: peak.flop_per_s, peak.bytes_per_s, peak.source.
[[nodiscard]] std::vector<Fact> facts_of(const MachinePeaks& peaks);

[[nodiscard]] std::string to_text(const MachinePeaks& peaks);
// A kept file, or what prony-peaks printed: that has neither machine nor time yet.
[[nodiscard]] Result<MachinePeaks> peaks_from_text(std::string_view text);

}  // namespace prony::calibrate
