// How well a model foretells a text: the sums of −ln p over windows of it.
#include <algorithm>
#include <cmath>

#include "../shared/windows.hpp"
#include "llama_engine.hpp"

namespace prony_engine {

namespace {

// −ln p of `token` among logits that were not normalised.
double loss_of(const float* logits, std::int32_t vocabulary, llama_token token) {
  const float most = *std::max_element(logits, logits + vocabulary);
  double sum = 0;
  for (std::int32_t i = 0; i < vocabulary; ++i) sum += std::exp(static_cast<double>(logits[i] - most));
  return std::log(sum) - static_cast<double>(logits[token] - most);
}

}  // namespace

std::optional<Failure> LlamaEngine::score_window(const std::vector<llama_token>& tokens, std::size_t first,
                                                 CorpusWindow& sum) {
  llama_memory_clear(llama_get_memory(context_.get()), true);
  const auto size = static_cast<std::int32_t>(tokens.size());
  for (std::int32_t at = 0; at < size && !cancelled_; at += batch_size_) {
    const std::int32_t end = std::min(size, at + batch_size_);
    batch_.n_tokens = 0;
    // The logits after a token tell the next one.
    const auto tells = [&](std::int32_t i) { return static_cast<std::size_t>(i) + 1 >= first && i + 1 < size; };
    for (std::int32_t i = at; i < end; ++i) put(tokens[static_cast<std::size_t>(i)], i, 0, tells(i));
    if (auto failure = compute()) return failure;
    for (std::int32_t i = at; i < end && !cancelled_; ++i) {
      if (!tells(i)) continue;
      const float* logits = llama_get_logits_ith(context_.get(), i - at);
      if (logits == nullptr) return Failure{"internal", "llama.cpp gave no logits for a token of the corpus"};
      const double loss = loss_of(logits, vocabulary_, tokens[static_cast<std::size_t>(i) + 1]);
      ++sum.tokens;
      sum.nll += loss;
      sum.nll_squares += loss * loss;
    }
  }
  return {};
}

std::optional<Failure> LlamaEngine::perplexity(const CorpusSettings& settings, CorpusSums& sums) {
  std::vector<llama_token> tokens;
  if (auto failure = all_tokens(settings.text, tokens)) return failure;
  const llama_token begin = llama_vocab_bos(llama_model_get_vocab(model_.get()));
  sums.begin_token = begin != LLAMA_TOKEN_NULL && tokens.front() == begin;
  if (sums.begin_token) tokens.erase(tokens.begin());
  if (settings.most_tokens) tokens.resize(std::min(tokens.size(), static_cast<std::size_t>(*settings.most_tokens)));
  sums.tokens = static_cast<std::int64_t>(tokens.size());
  sums.window = std::min(settings.window, context_of_one());
  const auto windows = corpus_windows(tokens.size(), static_cast<std::size_t>(sums.window),
                                      static_cast<std::size_t>(settings.stride), sums.begin_token);
  if (windows.empty()) return Failure{"context", "no token of the corpus can be scored in windows of this length"};
  in_cache_.clear();
  for (const Window& window : windows) {
    std::vector<llama_token> row;
    row.reserve(window.end - window.begin + 1);
    if (sums.begin_token) row.push_back(begin);
    for (std::size_t i = window.begin; i < window.end; ++i) row.push_back(tokens[i]);
    CorpusWindow sum;
    if (auto failure = score_window(row, window.scored - window.begin + (sums.begin_token ? 1 : 0), sum))
      return failure;
    if (cancelled_) return {};
    sums.windows.push_back(sum);
  }
  sums.complete = true;
  return {};
}

}  // namespace prony_engine
