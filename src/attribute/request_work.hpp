// What an engine did for each request, and when: prompt tokens, output tokens and reads of the key-value cache, placed
// in time from the spans of prefill, decode and tokens, and from the engine's own steps where it wrote them. Pure;
// plain values; any thread. Units: tokens; of the cache, bytes where the model's shape is known, else tokens' worth.
//
// * A prompt's tokens that no cache had are worked on in the engine's steps, as many as each took, where it wrote
// steps.
//   Else evenly through prefill, from when the prompt before it was done; where the span of prefill also holds the
//   queue (`holds`), at its end, at the fastest rate that a request of this Run showed.
// * The first output token comes out of prefill. Each further one is worked on from the end of the one before, and
//   reads the keys and values of all tokens before it. (Prefill reads the cache once for hundreds of tokens.)
// * A count that nobody told is taken as the mean of the requests that tell it, as far as it ran: `assumed`.
// * A request that ended before its first token did what the steps did for nobody else: none, if it still waited.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "attribute/attribute.hpp"

namespace prony::attribution {

struct WorkAmount {
  double prefill_tokens = 0;
  double decode_tokens = 0;
  double kv_read = 0;
};
[[nodiscard]] constexpr WorkAmount operator+(const WorkAmount& a, const WorkAmount& b) {
  return {a.prefill_tokens + b.prefill_tokens, a.decode_tokens + b.decode_tokens, a.kv_read + b.kv_read};
}
[[nodiscard]] constexpr WorkAmount operator-(const WorkAmount& a, const WorkAmount& b) {
  return {a.prefill_tokens - b.prefill_tokens, a.decode_tokens - b.decode_tokens, a.kv_read - b.kv_read};
}

// One request's work: what had been done up to each of some instants, evenly between two.
class PlacedWork {
 public:
  Interval served;       // prefill's begin to the last token: outside it waits or is done
  bool assumed = false;  // a count was not told
  [[nodiscard]] bool any() const noexcept { return !knots_.empty(); }

  void add(std::int64_t at_ns, const WorkAmount& until);  // in order of time; equal instants: a jump
  [[nodiscard]] WorkAmount between(std::int64_t from_ns, std::int64_t to_ns) const;
  [[nodiscard]] WorkAmount whole() const { return knots_.empty() ? WorkAmount{} : knots_.back().until; }

 private:
  struct Knot {
    std::int64_t at_ns = 0;
    WorkAmount until;
  };
  [[nodiscard]] WorkAmount until(std::int64_t at_ns) const;
  std::vector<Knot> knots_;
};

// A step of the engine: what it computed in one go. Phase spans called `step`.
struct EngineStep {
  Interval interval;
  double prefill_tokens = 0, decode_tokens = 0;
};

struct WorkInTime {
  std::vector<PlacedWork> requests;  // by index of the spans that were asked about; those of other kinds have none
  std::vector<EngineStep> steps;     // by begin; empty: the engine wrote none
  std::string absent;                // why there is none
  std::size_t assumed = 0;           // requests of which a count was not told
};

// `kept`: the spans to be charged; `all`: those, with their token spans and steps.
[[nodiscard]] WorkInTime place_work(std::span<const Span> all, std::span<const Span> kept,
                                    const std::optional<KvReads>& kv);

// Whether two requests of these ever ran at once: else there is nothing to share.
[[nodiscard]] bool requests_overlap(std::span<const Span> spans);

[[nodiscard]] bool is_engine_step(const Span& span);

}  // namespace prony::attribution
