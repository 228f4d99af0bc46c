// Span rows: writes spans, and what the rings say about them, into a Run's tables in any order of arrival (an end may
// come before its begin when two threads share a span), and reads them back. Thread promise: as Database.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.hpp"
#include "model/span.hpp"
#include "store/database.hpp"
#include "store/span_consumer.hpp"

namespace prony {

class SpanRows {
 public:
  SpanRows() = default;
  [[nodiscard]] static Result<SpanRows> prepare(Database& database);

  [[nodiscard]] Result<void> apply(const SpanChange& change);
  // A span with status unfinished is stored without an end. The same id again replaces the span.
  [[nodiscard]] Result<void> put(const Span& span);
  [[nodiscard]] Instant latest() const noexcept { return latest_; }

 private:
  void saw(std::int64_t ns) noexcept { latest_.ns = ns > latest_.ns ? ns : latest_.ns; }

  Statement begin_, end_, whole_, count_, attribute_;
  Instant latest_;
};

// All spans that have a begin, ordered by it (then by id). Those without an end are unfinished and end with `last`, or
// with the last thing any span says. `homeless` counts rows of which the begin was never seen.
[[nodiscard]] Result<std::vector<Span>> load_spans(Database& database, Instant last, std::uint64_t& homeless);

// What the consumer lost, as events of kind "spans-lost", and the sum in meta; replaces what was said before.
[[nodiscard]] Result<void> store_losses(Database& database, const SpanConsumer& consumer, std::uint64_t before,
                                        Instant at, bool with_events);

}  // namespace prony
