// A model of llama.cpp run for the times of its operators: a prompt of so many tokens computed, or one token more after
// so many, with llama.cpp's evaluation callback or without. The callback makes it compute operator by operator, which
// costs time: both ways are measured, each in a context of its own. Tokens are made up; what they say is of no account.
// Thread promise: one thread. Source: ggml_backend_sched_eval_callback (ggml-backend.h), llama_context_params.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "llama_engine.hpp"

namespace prony_engine {

struct OperatorTimes {
  std::string layer;                       // "layer 3", "input", "output"
  std::string op;                          // ggml's name: "MUL_MAT", "FLASH_ATTN_EXT" …
  std::vector<std::int64_t> durations_ns;  // one for each run: of all such operators of the layer
};

class LayerTimes {
 public:
  explicit LayerTimes(llama_model* model) : model_(model) {}
  // `tokens`: of the prompt, and before the token that is decoded.
  [[nodiscard]] std::optional<Failure> open(std::int32_t tokens, std::int32_t threads);
  // Before a series of runs: of a decode the tokens before it are computed.
  [[nodiscard]] std::optional<Failure> prepare(bool decode, bool observed);
  // One run: the whole prompt, or one token after it, which is forgotten again.
  [[nodiscard]] std::optional<Failure> run(bool decode, bool observed, std::int64_t& begin_ns, std::int64_t& end_ns);
  // Forgets what was observed.
  void clear() { rows_.clear(), places_.clear(), run_ = 0; }
  [[nodiscard]] const std::vector<OperatorTimes>& rows() const noexcept { return rows_; }

 private:
  struct FreeContext {
    void operator()(llama_context* context) const noexcept { llama_free(context); }
  };
  using Context = std::unique_ptr<llama_context, FreeContext>;

  [[nodiscard]] std::optional<Failure> compute(llama_context* context, std::int32_t first, std::int32_t count);
  static bool observe(ggml_tensor* tensor, bool ask, void* self);
  void note(const ggml_tensor* tensor);

  llama_model* model_;
  Context plain_, observed_;
  std::int32_t tokens_ = 0;
  bool watching_ = false;
  std::int64_t last_ns_ = 0;
  std::string layer_;
  std::size_t run_ = 0;
  std::vector<OperatorTimes> rows_;
  std::map<std::pair<std::string, std::string>, std::size_t> places_;
};

}  // namespace prony_engine
