// `prony quality --perplexity CORPUS --model M`: a worker foretells a text, and how well is told with its standard
// error. Nothing is metered. Thread promise: one thread. Errors: usage, absent, unavailable; in words of the option or
// the worker.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/subcommand.hpp"
#include "app/transformers_engine.hpp"
#include "base/result.hpp"
#include "quality/perplexity.hpp"

namespace prony::app {

struct PerplexityOptions {
  std::string corpus, model, engine = "llama";
  std::int32_t window = 512, stride = 0;  // stride 0: as the window
  std::int64_t most_tokens = 0;           // 0: all
  std::int32_t threads = 1;
  std::string timeout = "1h";
  TransformersOptions transformers;
};

struct CorpusScore {
  quality::Perplexity perplexity;
  std::string engine, model;  // with their versions and names, as the worker tells them
  std::int64_t tokens = 0;    // of the corpus
  std::int64_t window = 0, stride = 0;
  bool begin_token = false;
};

// `words`: a worker of the user's own, after two dashes; empty: the engine's.
[[nodiscard]] Result<CorpusScore> score_corpus(const PerplexityOptions& options, const CommandWords& words);
[[nodiscard]] std::string text_of(const CorpusScore& score);
[[nodiscard]] std::string json_text_of(const CorpusScore& score);

}  // namespace prony::app
