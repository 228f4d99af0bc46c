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

struct LoadSettings {
  std::string model;
  std::optional<std::int32_t> threads, ctx, batch;
  bool use_mmap = true;
};

struct ModelFacts {
  std::string name, description, quant, path;
  std::uint64_t parameters = 0, size_bytes = 0;
  std::int32_t ctx = 0, ctx_trained = 0, batch = 0, threads = 0;
  double load_ms = 0;
};

struct PromptSettings {
  std::string text;
  std::int32_t max_tokens = 128;
  double temperature = 0;
  std::int32_t top_k = 0;  // 0 = off
  double top_p = 1;        // 1 = off
  std::uint32_t seed = 1;
  bool ignore_eos = false;
  bool keep_output = false;
};

struct Answer {
  std::int32_t prompt_tokens = 0, output_tokens = 0;
  std::string finish;  // length, eos, stop
  bool context_full = false;
  std::string text;  // if kept; may hold incomplete UTF-8
};

// What happened, as it happens.
struct Observer {
  std::function<void(std::int64_t begin_ns, std::int64_t end_ns)> tokenise, prefill, token, decode;
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
  [[nodiscard]] bool loaded() const noexcept { return context_ != nullptr; }
  [[nodiscard]] std::optional<Failure> answer(const PromptSettings& prompt, const Observer& observer, Answer& answer);

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

  [[nodiscard]] std::optional<Failure> tokenise(const std::string& text, std::vector<llama_token>& tokens) const;
  [[nodiscard]] Sampler make_sampler(const PromptSettings& prompt) const;
  [[nodiscard]] std::optional<Failure> prefill(const std::vector<llama_token>& tokens);
  [[nodiscard]] std::optional<Failure> decode_one(llama_token token, std::int32_t position, bool logits_wanted);
  void append_text(llama_token token, std::string& text) const;

  std::atomic<bool>& cancelled_;
  std::unique_ptr<llama_model, FreeModel> model_;
  std::unique_ptr<llama_context, FreeContext> context_;
  std::vector<llama_logit_bias> no_end_tokens_;
  std::int32_t vocabulary_ = 0, batch_size_ = 0;
  llama_batch batch_{};
};

}  // namespace prony_engine
