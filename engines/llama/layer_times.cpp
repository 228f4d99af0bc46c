#include "layer_times.hpp"

#include <ggml.h>
#include <prony/prony.h>

#include <algorithm>
#include <string_view>

namespace prony_engine {

namespace {

// llama.cpp names what it computes in layer 3 "Qcur-3"; what has no number belongs to the layer before it, but for the
// last norm and the logits.
std::optional<std::string> layer_named(std::string_view name) {
  if (name.starts_with("result") || name == "norm") return "output";
  const std::size_t blank = name.find(' ');  // "Qcur-3 (reshaped)"
  name = name.substr(0, blank);
  const std::size_t dash = name.rfind('-');
  if (dash == std::string_view::npos || dash + 1 == name.size()) return std::nullopt;
  const std::string_view number = name.substr(dash + 1);
  if (!std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; })) return std::nullopt;
  return "layer " + std::string(number);
}

}  // namespace

std::optional<Failure> LayerTimes::open(std::int32_t tokens, std::int32_t threads) {
  tokens_ = tokens;
  llama_context_params parameters = llama_context_default_params();
  parameters.n_ctx = static_cast<std::uint32_t>(tokens + 8);
  parameters.n_batch = parameters.n_ubatch = static_cast<std::uint32_t>(std::max(tokens, 1));  // one step
  parameters.n_threads = parameters.n_threads_batch = threads;
  parameters.no_perf = true;
  plain_.reset(llama_init_from_model(model_, parameters));
  parameters.cb_eval = observe;
  parameters.cb_eval_user_data = this;
  observed_.reset(llama_init_from_model(model_, parameters));
  if (!plain_ || !observed_) return Failure{"memory", "no context of " + std::to_string(tokens + 8) + " tokens, twice"};
  return {};
}

std::optional<Failure> LayerTimes::compute(llama_context* context, std::int32_t first, std::int32_t count) {
  const std::int32_t vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model_));
  std::vector<llama_token> tokens;
  for (std::int32_t i = 0; i < count; ++i)  // ids spread over the table, the same at each run
    tokens.push_back(static_cast<llama_token>((std::int64_t{first + i} * 7919 + 17) % vocabulary));
  if (llama_decode(context, llama_batch_get_one(tokens.data(), count)) != 0)
    return Failure{"internal", "llama.cpp could not compute " + std::to_string(count) + " tokens"};
  llama_synchronize(context);
  return {};
}

std::optional<Failure> LayerTimes::prepare(bool decode, bool observed) {
  llama_context* context = observed ? observed_.get() : plain_.get();
  llama_memory_clear(llama_get_memory(context), true);
  return decode ? compute(context, 0, tokens_) : std::nullopt;
}

std::optional<Failure> LayerTimes::run(bool decode, bool observed, std::int64_t& begin_ns, std::int64_t& end_ns) {
  llama_context* context = observed ? observed_.get() : plain_.get();
  if (!decode)
    llama_memory_clear(llama_get_memory(context), true);
  else if (!llama_memory_seq_rm(llama_get_memory(context), 0, tokens_, -1))
    return Failure{"internal", "this model's memory cannot forget its last token"};
  layer_ = "input";
  watching_ = observed;
  begin_ns = last_ns_ = prony_now_ns();
  auto failure = compute(context, decode ? tokens_ : 0, decode ? 1 : tokens_);
  end_ns = prony_now_ns();
  watching_ = false;
  if (observed && !failure) {
    ++run_;
    for (OperatorTimes& row : rows_) row.durations_ns.resize(run_, 0);
  }
  return failure;
}

// Asked of every operator, so that each is computed by itself.
bool LayerTimes::observe(ggml_tensor* tensor, bool ask, void* self) {
  auto& times = *static_cast<LayerTimes*>(self);
  if (!times.watching_) return !ask;  // not wanted; and go on
  if (!ask) times.note(tensor);
  return true;
}

void LayerTimes::note(const ggml_tensor* tensor) {
  const std::int64_t now = prony_now_ns();
  if (auto named = layer_named(ggml_get_name(tensor))) layer_ = std::move(*named);
  const std::string op = ggml_op_desc(tensor);
  const auto [it, fresh] = places_.emplace(std::pair(layer_, op), rows_.size());
  if (fresh) rows_.push_back({layer_, op, std::vector<std::int64_t>(run_ + 1, 0)});
  OperatorTimes& row = rows_[it->second];
  row.durations_ns.resize(run_ + 1, 0);
  row.durations_ns[run_] += now - last_ns_;
  last_ns_ = prony_now_ns();  // what noting takes is in no operator
}

}  // namespace prony_engine
