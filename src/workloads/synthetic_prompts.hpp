// Prompts of drawn lengths in tokens, and shared prefixes. The lengths are drawn here, the texts are made when they are
// asked (workloads/synthetic_text.hpp). Pure; the same seed gives the same lengths and texts on every machine. Errors:
// usage, in words of the option concerned. Sources: lengths as in vLLM's random and prefix_repetition sets, GuideLLM's
// synthetic data and AIPerf's sequence distributions.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "workloads/draw.hpp"
#include "workloads/prompts.hpp"

namespace prony {

// Whole tokens, from 1. `mean` and `deviation` are those of the length itself, in tokens, of the lognormal too (before
// it is cut to least…most).
struct LengthDistribution {
  enum class Kind { fixed, uniform, normal, lognormal };
  Kind kind = Kind::fixed;
  double mean = 0, deviation = 0;
  std::int64_t least = 1, most = 1'000'000;
};
// "128", "uniform(64,256)", "normal(550,150)", "lognormal(550,150)"; normal and lognormal with ",LEAST,MOST".
[[nodiscard]] Result<LengthDistribution> length_distribution_from(std::string_view text);
[[nodiscard]] std::int64_t drawn_length(const LengthDistribution& distribution, Draw& draw);

struct LengthPair {
  std::int64_t prompt_tokens = 0, output_tokens = 0;
  double weight = 1;
};

struct SyntheticSpec {
  std::size_t count = 8;
  LengthDistribution in;
  std::optional<LengthDistribution> out;  // absent: --max-tokens
  std::vector<LengthPair> pairs;          // if there are any: in place of in and out
};
// "100 in:normal(550,150) out:128", "in:lognormal(300,200)", "pairs:128:64@3,512:256@1"; the count may be left out.
[[nodiscard]] Result<SyntheticSpec> synthetic_spec_from(std::string_view text);

struct SharedPrefix {
  std::int64_t tokens = 0;
  std::size_t groups = 1;  // so many different ones, taken in turn
};
// "512" or "512:4".
[[nodiscard]] Result<SharedPrefix> shared_prefix_from(std::string_view text);

// `prefix` comes on top of a prompt's own tokens.
[[nodiscard]] PromptSet synthetic_prompts(const SyntheticSpec& spec, const std::optional<SharedPrefix>& prefix,
                                          std::uint64_t seed);
// Puts a prefix of synthetic text before each prompt of a file; a session's first turn has it.
void add_shared_prefix(PromptSet& set, const SharedPrefix& prefix, std::uint64_t seed);

}  // namespace prony
