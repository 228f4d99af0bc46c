// Batch: what a remote monitor sends in one request, as lines of JSON: a header, then frames (docs/collect.md). Parsed
// from strangers' bytes, so everything is bounded: size of a line, depth, number of series and frames, length of names.
// Times are nanoseconds since 1970 of the sender's wall clock, or of its monotonic clock where the name says so.
// Thread promise: pure. Ownership: plain values. Errors: malformed with the line; `full` where a limit is passed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace prony::collect {

inline constexpr std::size_t most_series = 20'000, most_name_bytes = 400, most_frames = 10'000;
inline constexpr std::size_t most_line_bytes = std::size_t{8} << 20;

struct SeriesHead {
  std::string name, unit, origin, device, domain, target;
  bool counter = false;  // never falls while the stream lasts, begins at 0
};

// What is said once of a stream: one monitor from its begin to its end.
struct StreamFacts {
  std::string version, host, boot, simulated;
  std::int64_t begun_wall_ns = 0, interval_ns = 0;
  std::vector<SeriesHead> series;
};

// The receiver's clock less the client's, as the client found by asking; it lies within ± doubt.
struct ClockOffset {
  std::int64_t offset_ns = 0, doubt_ns = 0;
};

struct ReceivedFrame {
  std::uint64_t sequence = 0;  // 1, 2, 3, … in its stream
  std::int64_t wall_ns = 0, monotonic_ns = 0;
  std::uint64_t dropped = 0;  // frames before it that never got a number, because the sink had no place for them
  std::vector<std::optional<double>> values;
};

struct Batch {
  std::string client, stream;
  std::int64_t sent_wall_ns = 0;
  std::uint64_t lost_frames = 0;  // numbered, and given up by the sender's buffer
  std::optional<ClockOffset> clock;
  std::optional<StreamFacts> facts;
  std::vector<ReceivedFrame> frames;
};

// What will be wrong again as long as it comes: of `stream`, who sends it and what it measures; of `frame`, that one.
// Of `request`, what another version, or another moment, may do right.
enum class BatchPart { request, stream, frame };
struct BatchError {
  Error error;
  BatchPart part = BatchPart::request;
};
[[nodiscard]] Expected<Batch, BatchError> parse_batch(std::string_view body);

// Arrays and objects inside one another at the deepest place of a JSON text, valid or not.
[[nodiscard]] std::size_t nesting_of(std::string_view text) noexcept;

}  // namespace prony::collect
