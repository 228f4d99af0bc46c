// What the readers share: JSON that may be anything, requests that become spans. Pure; internal to exchange.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>

#include "exchange/readers.hpp"

namespace prony::exchange {

using Found = nlohmann::json;

// nullopt where it is not there, null, of another type or not finite.
[[nodiscard]] std::optional<double> number_at(const Found& object, const char* name);
[[nodiscard]] std::optional<std::int64_t> whole_at(const Found& object,
                                                   const char* name);  // up to 2⁵³ either way, or exact
[[nodiscard]] std::string text_at(const Found& object, const char* name);
// An empty object where it is not there or is none.
[[nodiscard]] const Found& object_at(const Found& object, const char* name);

// Objects of JSON lines; a last line that was not written to its end is left out with a note. Errors: malformed (line).
[[nodiscard]] Result<std::vector<Found>> json_lines(std::string_view bytes, std::vector<std::string>& notes);
[[nodiscard]] Result<Found> json_document(std::string_view bytes);

// One request; times in s from the Run's begin, which is at instant 0.
struct ReadRequest {
  std::string name;
  double begin_s = 0;
  std::optional<double> ttft_s, e2e_s;
  std::vector<double> gaps_s;
  std::optional<std::int64_t> prompt_tokens, output_tokens;
  std::string error;  // "": it was answered
  bool cancelled = false;
  bool decode_alone = false;  // all of it is decoding; a first token was never seen
};
// The spans of a run and its requests, with prefill, decode and, where gaps are as many as tokens, tokens.
void add_spans(Imported& out, const std::vector<ReadRequest>& requests, double end_s);
// The joules of a meter from the Run's begin to its end, as a counter that was read twice; none: nothing is added.
struct ReadJoules {
  std::string name, domain;
  Origin origin = Origin::measured;
  double joules = 0;
};
void add_joules(Imported& out, const char* sensor, const std::vector<ReadJoules>& all, double seconds);
// "2021-12-08 13:55:49.307695" (or with a T, with or without the fraction) → ns since 1970 of a clock without a zone.
[[nodiscard]] std::optional<std::int64_t> local_ns(std::string_view text);
void add_fact(Imported& out, std::string key, std::string value);

inline constexpr double most_joules = 1e12;  // a node's draw for a year
inline constexpr double longest_s = 3.2e8;   // ten years: what is longer is no time of a benchmark

}  // namespace prony::exchange
