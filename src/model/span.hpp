// Span: who used the machine when. Spans nest by `parent`; times are on the recording host's monotonic clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/time.hpp"

namespace prony {

struct SpanId {
  std::uint64_t value = 0;  // 0 = none
  constexpr auto operator<=>(const SpanId&) const = default;
};

// The numbers are part of the ring format and of the C ABI: only ever add at the end.
enum class SpanKind : std::uint16_t {
  run = 0,    // the measured command or worker, from release to end
  phase = 1,  // load, warm-up, gap, baseline-before, baseline-after, …: time that belongs to no request
  request = 2,
  tokenise = 3,
  prefill = 4,
  decode = 5,
  token = 6,
  batch = 7,
  layer = 8,
  process = 9,
  user = 10,  // a span that a user's program named
};
[[nodiscard]] std::string_view to_string(SpanKind kind) noexcept;
[[nodiscard]] std::optional<SpanKind> span_kind_from(std::string_view text) noexcept;

enum class SpanStatus : std::uint8_t { ok = 0, failed = 1, unfinished = 2 };  // unfinished: begun, end never seen
[[nodiscard]] std::string_view to_string(SpanStatus status) noexcept;

struct Span {
  SpanId id;
  SpanId parent;
  SpanKind kind = SpanKind::user;
  SpanStatus status = SpanStatus::ok;
  std::string name;  // request: the prompt's id; phase: "load", …
  Interval interval;
  std::int64_t pid = 0;
  std::uint32_t thread = 0;  // ring number: spans of one ring were written by one thread
  std::vector<std::pair<std::string, std::int64_t>> counts;     // "prompt_tokens" → 14
  std::vector<std::pair<std::string, std::string>> attributes;  // "finish" → "length"

  [[nodiscard]] std::optional<std::int64_t> count(std::string_view key) const {
    for (const auto& [name_, value] : counts)
      if (name_ == key) return value;
    return std::nullopt;
  }
  [[nodiscard]] std::optional<std::string> attribute(std::string_view key) const {
    for (const auto& [name_, value] : attributes)
      if (name_ == key) return value;
    return std::nullopt;
  }
};

// Names of the phases that Prony itself writes.
namespace phase {
inline constexpr std::string_view baseline_before = "baseline-before";
inline constexpr std::string_view baseline_after = "baseline-after";
inline constexpr std::string_view baseline_loaded = "baseline-loaded";  // a model in memory, nothing asked
inline constexpr std::string_view load = "load";
inline constexpr std::string_view warm_up = "warm-up";
inline constexpr std::string_view gap = "gap";
// What an engine computed in one go, with counts of its tokens: it says how work was spread, and takes no joules.
inline constexpr std::string_view step = "step";
}  // namespace phase

}  // namespace prony
