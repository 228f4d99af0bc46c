// A model of llama.cpp: load it, answer prompts, and stamp what happens when. Knows nothing of the protocol.
// Times are CLOCK_MONOTONIC in ns (prony_now_ns). Thread promise: one thread; the cancel flag may be set from any.
// Errors are values: a code of docs/worker-protocol.md and a sentence. Source: llama.h of llama.cpp.
#pragma once

#include <llama.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace prony_engine {

struct Failure {
  std::string code, message;
};

// How prompts that are there at once are put together. What a step computes is what there is to compute: no row is
// padded. All stop where the context of a sequence is full.
struct Batching {
  enum class Kind {
    none,        // one prompt after another
    fixed,       // so many together, to the end of the longest; then the next ones ("static")
    budget,      // as many together as their tokens, asked and to come, fit into a budget ("dynamic")
    sorted,      // as fixed, the longest prompts first, so that those of a batch are alike
    continuous,  // so many at most; whoever is done makes room for the next, whose prompt is computed beside the others
  };
  Kind kind = Kind::none;
  std::int32_t size = 1;  // sequences; of a budget: tokens
};
// "static:8", "dynamic:2048", "sorted:8", "continuous:8"; nullopt: it is none of these.
[[nodiscard]] std::optional<Batching> batching_from(const std::string& text);

struct LoadSettings {
  std::string model;
  std::optional<std::int32_t> threads, ctx, batch;
  bool use_mmap = true;
  Batching batching;
};

struct ModelFacts {
  std::string name, description, quant, path;
  std::uint64_t parameters = 0, size_bytes = 0;
  std::int32_t ctx = 0, ctx_trained = 0, batch = 0, threads = 0, sequences = 1;
  double load_ms = 0;
};

struct PromptSettings {
  std::string text;
  std::int32_t max_tokens = 128;
  std::int32_t min_tokens = 0;                  // no end token before so many were made
  std::optional<std::int32_t> truncate_tokens;  // a longer prompt is cut to its begin token and its last so many − 1
  double temperature = 0;
  std::int32_t top_k = 0;  // 0 = off
  double top_p = 1;        // 1 = off
  std::uint32_t seed = 1;
  bool ignore_eos = false;
  bool keep_output = false;
  bool cache_prompt = false;          // what the prompt before left in the cache may be used
  std::int64_t cancel_after_ns = -1;  // the client goes so long after it asked; −1: it stays
};

struct Answer {
  std::int32_t prompt_tokens = 0, output_tokens = 0;
  std::int32_t cached_tokens = 0;                 // of the prompt's: not computed again
  std::int32_t truncated_tokens = 0;              // cut from the prompt
  std::int32_t loop_tokens = 0, loop_period = 0;  // at the answer's end, if it repeats
  std::string finish;                             // length, eos, stop, cancelled
  bool context_full = false;
  std::string text;  // if kept; may hold incomplete UTF-8
};

// What happened, as it happens.
struct Observer {
  std::function<void(std::int64_t begin_ns, std::int64_t end_ns)> tokenise, prefill, token, decode;
};

// One call of the engine for several prompts.
struct Step {
  std::int64_t begin_ns = 0, end_ns = 0;
  std::int32_t prefill_tokens = 0, decode_tokens = 0;
  std::int64_t kv_tokens = 0;       // positions of the cache that its sequences hold after it
  std::int32_t sequences = 0;       // that it computed something for
  std::int32_t padding_tokens = 0;  // rows that a batch of equal lengths would hold beside these; not computed here
};
// The same for many prompts; `finished` has the answer, or the failure, of each, once.
struct BatchObserver {
  std::function<Observer(std::size_t prompt)> of_prompt;
  std::function<void(std::size_t prompt, const Answer& answer, const std::optional<Failure>& failure)> finished;
  std::function<void(const Step& step)> step;
};

// A corpus to be foretold, and what came of it.
struct CorpusSettings {
  std::string text;
  std::int32_t window = 512, stride = 512;  // positions computed at once, and new tokens of each window
  std::optional<std::int64_t> most_tokens;
};
struct CorpusWindow {
  std::int64_t tokens = 0;          // scored
  double nll = 0, nll_squares = 0;  // Σ −ln p and Σ (ln p)², nats
};
struct CorpusSums {
  std::int64_t tokens = 0;  // of the corpus, scored or not
  std::int32_t window = 0;  // in effect
  bool begin_token = false, complete = false;
  std::vector<CorpusWindow> windows;
};

class LlamaEngine {
 public:
  explicit LlamaEngine(std::atomic<bool>& cancelled);
  ~LlamaEngine();
  LlamaEngine(const LlamaEngine&) = delete;
  LlamaEngine& operator=(const LlamaEngine&) = delete;

  [[nodiscard]] static std::string version();
  // Replaces a model loaded before.
  [[nodiscard]] std::optional<Failure> load(const LoadSettings& settings, ModelFacts& facts);
  [[nodiscard]] llama_model* model() const noexcept { return model_.get(); }  // null: none is loaded
  [[nodiscard]] bool loaded() const noexcept { return context_ != nullptr; }
  [[nodiscard]] std::optional<Failure> answer(const PromptSettings& prompt, const Observer& observer, Answer& answer);
  // Answers all of them, put together as load() was told; `asked_ns`: when they were asked. What one prompt leaves in
  // the cache is gone before the next has its place.
  void answer_all(const std::vector<PromptSettings>& prompts, std::int64_t asked_ns, const BatchObserver& observer);
  // Sums of −ln p over a text, window by window, each with an empty cache before it.
  [[nodiscard]] std::optional<Failure> perplexity(const CorpusSettings& settings, CorpusSums& sums);
  // Tokens of a text with what stands around every prompt; nothing is computed.
  [[nodiscard]] std::optional<Failure> count_tokens(const std::string& text, std::int32_t& count) const;

 private:
  struct FreeModel {
    void operator()(llama_model* model) const noexcept { llama_model_free(model); }
  };
  struct FreeContext {
    void operator()(llama_context* context) const noexcept { llama_free(context); }
  };
  struct FreeSampler {
    void operator()(llama_sampler* sampler) const noexcept { llama_sampler_free(sampler); }
  };
  using Sampler = std::unique_ptr<llama_sampler, FreeSampler>;

  struct Sequence;  // one prompt under way beside others
  class Together;   // many of them

  [[nodiscard]] std::optional<Failure> all_tokens(const std::string& text, std::vector<llama_token>& tokens) const;
  [[nodiscard]] std::optional<Failure> tokenise(const PromptSettings& prompt, std::vector<llama_token>& tokens,
                                                Answer& answer) const;
  [[nodiscard]] std::int32_t context_of_one() const;
  [[nodiscard]] Sampler make_sampler(const PromptSettings& prompt, bool may_end) const;
  [[nodiscard]] std::int32_t take_from_cache(const std::vector<llama_token>& tokens, bool wanted);
  // The next token is known: what that means for the answer. True: it was the last.
  [[nodiscard]] bool take_token(llama_token token, const PromptSettings& prompt, Answer& answer,
                                std::vector<llama_token>& made) const;
  void note_repetition(const std::vector<llama_token>& made, Answer& answer) const;
  void put(llama_token token, std::int32_t position, llama_seq_id sequence, bool logits);
  [[nodiscard]] std::optional<Failure> compute();
  [[nodiscard]] std::optional<Failure> prefill(const std::vector<llama_token>& tokens, std::int32_t from);
  // `first`: the first of `tokens` that is scored, above 0.
  [[nodiscard]] std::optional<Failure> score_window(const std::vector<llama_token>& tokens, std::size_t first,
                                                    CorpusWindow& sum);
  void append_text(llama_token token, std::string& text) const;

  std::atomic<bool>& cancelled_;
  std::unique_ptr<llama_model, FreeModel> model_;
  std::unique_ptr<llama_context, FreeContext> context_;
  std::vector<llama_logit_bias> no_end_tokens_;
  std::int32_t vocabulary_ = 0, batch_size_ = 0;
  Batching batching_;
  std::int32_t sequences_ = 1;         // there is room for
  std::vector<llama_token> in_cache_;  // of the one sequence, if prompts come one after another
  llama_batch batch_{};
};

}  // namespace prony_engine
