// What `prony inspect` tells of a model: figures for a request of given lengths, as text and as JSON. Pure; one thread.
// Units: FLOP (1 multiply-add = 2), bytes, tokens, seconds. The roofline is a ceiling on a machine of given peaks, no
// forecast.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "complexity/model_cost.hpp"
#include "complexity/model_files.hpp"

namespace prony::app {

struct InspectQuestion {
  double prompt_tokens = 512, output_tokens = 128;
  double sequences = 1;  // answered together
  std::string cache_type = "f16";
  double cache_bytes_per_number = complexity::f16_bytes;
  std::optional<double> peak_flop_per_s, memory_bytes_per_s;  // both, or none
  std::string peak_source;                                    // where they come from; empty: the user gave them
};

// No step can end sooner than its FLOP at the peak and than its bytes at the bandwidth.
struct Roofline {
  double seconds = 0, tokens_per_s = 0;
  bool memory_bound = false;
};
[[nodiscard]] Roofline roofline(const complexity::ModelCost& cost, double tokens, double peak_flop_per_s,
                                double memory_bytes_per_s);

struct InspectFigures {
  complexity::ModelCost prefill;       // of one prompt; makes the first token of the answer
  complexity::ModelCost generation;    // of all further tokens of all sequences
  double generated_tokens = 0;         // by the latter
  double kv_bytes = 0;                 // of one sequence at its end
  std::optional<double> memory_bytes;  // weights and caches of all sequences
  double active_parameters = 0;        // that one token goes through, norms and the embedding included
  std::optional<Roofline> prefill_roof, generation_roof;
};
[[nodiscard]] InspectFigures inspect_figures(const complexity::ModelShape& shape, const InspectQuestion& question);

struct Inspected {
  std::string source;  // as the user named it
  complexity::ModelFiles model;
  std::vector<std::string> beside;  // kinds of further weights that are not counted
};
[[nodiscard]] std::string inspect_text(const Inspected& inspected, const InspectQuestion& question, std::size_t width,
                                       bool colour);
[[nodiscard]] nlohmann::ordered_json inspect_json(const Inspected& inspected, const InspectQuestion& question);

}  // namespace prony::app
