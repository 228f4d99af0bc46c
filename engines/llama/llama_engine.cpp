#include "llama_engine.hpp"

#include <dlfcn.h>
#include <ggml-backend.h>
#include <prony/prony.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>

#include "../shared/repetition.hpp"

namespace prony_engine {

namespace {

constexpr std::int32_t default_ctx = 4096, default_batch = 512;
constexpr std::int32_t most_of_a_budget = 16;  // sequences, however short

// llama.cpp tells why something failed only through its log: the last error lines are kept for the error message.
// A place per process, because the callback belongs to the process.
struct LogTail {
  std::mutex mutex;
  std::string errors;
  bool to_stderr = false;
};

void keep_log(ggml_log_level level, const char* text, void* tail_pointer) {
  auto& tail = *static_cast<LogTail*>(tail_pointer);
  const std::lock_guard lock(tail.mutex);
  if (tail.to_stderr) (void)!::write(STDERR_FILENO, text, std::strlen(text));
  if (level == GGML_LOG_LEVEL_ERROR && tail.errors.size() < 4000) tail.errors += text;
}

LogTail& log_tail() {
  static LogTail tail;
  return tail;
}

std::string take_log() {
  LogTail& tail = log_tail();
  const std::lock_guard lock(tail.mutex);
  std::string errors = std::exchange(tail.errors, {});
  std::replace(errors.begin(), errors.end(), '\n', ' ');
  while (!errors.empty() && errors.back() == ' ') errors.pop_back();
  return errors;
}

// Backends lie beside libllama; the current folder, where ggml would look too, is nobody's to trust.
void load_backends() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<void*>(&ggml_backend_load_all_from_path), &info) != 0 && info.dli_fname != nullptr) {
    std::string folder = info.dli_fname;
    folder.erase(std::min(folder.rfind('/'), folder.size()));
    if (!folder.empty()) ggml_backend_load_all_from_path(folder.c_str());
  }
  if (ggml_backend_dev_count() == 0) ggml_backend_load_all();  // a system's own place for them
}

std::int32_t usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)));
}

std::string metadata(const llama_model* model, const char* key) {
  std::array<char, 512> text{};
  return llama_model_meta_val_str(model, key, text.data(), text.size()) >= 0 ? text.data() : std::string();
}

// The switch for mmap has had two shapes in llama.h.
template <class Parameters>
void set_mmap(Parameters& parameters, bool use_mmap) {
  if constexpr (requires { parameters.load_mode; })
    parameters.load_mode = static_cast<decltype(parameters.load_mode)>(use_mmap ? 1 : 0);
  else
    parameters.use_mmap = use_mmap;
}

bool aborted(void* flag) { return static_cast<std::atomic<bool>*>(flag)->load(std::memory_order_relaxed); }

// Keys and values of `tokens` positions in f16, as for an ordinary transformer: some others need less.
std::uint64_t cache_bytes(const llama_model* model, std::uint64_t tokens) {
  const auto heads = static_cast<std::uint64_t>(std::max(1, llama_model_n_head(model)));
  const auto row = static_cast<std::uint64_t>(llama_model_n_embd(model)) / heads *
                   static_cast<std::uint64_t>(std::max(1, llama_model_n_head_kv(model)));
  return 2 * 2 * static_cast<std::uint64_t>(llama_model_n_layer(model)) * row * tokens;
}

std::uint64_t physical_memory() {
  return static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

LlamaEngine::LlamaEngine(std::atomic<bool>& cancelled) : cancelled_(cancelled) {
  const char* log = std::getenv("PRONY_ENGINE_LOG");
  log_tail().to_stderr = log != nullptr && std::strcmp(log, "1") == 0;
  llama_log_set(keep_log, &log_tail());
  load_backends();
  llama_backend_init();
}

LlamaEngine::~LlamaEngine() {
  if (batch_.token != nullptr) llama_batch_free(batch_);
  context_.reset();
  model_.reset();
  llama_backend_free();
}

std::string LlamaEngine::version() { return llama_version(); }

std::optional<Failure> LlamaEngine::load(const LoadSettings& settings, ModelFacts& facts) {
  const std::int64_t begin = prony_now_ns();
  context_.reset();
  model_.reset();
  take_log();
  if (::access(settings.model.c_str(), R_OK) != 0)
    return Failure{"model", "cannot read " + settings.model + ": " + std::strerror(errno)};
  if (ggml_backend_dev_count() == 0) return Failure{"internal", "no backend of ggml was found beside libllama"};
  llama_model_params model_parameters = llama_model_default_params();
  set_mmap(model_parameters, settings.use_mmap);
  model_.reset(llama_model_load_from_file(settings.model.c_str(), model_parameters));
  if (!model_)
    return Failure{"model",
                   settings.model + " is not a model that llama.cpp " + version() + " can load: " + take_log()};

  const std::int32_t trained = llama_model_n_ctx_train(model_.get());
  const std::int32_t threads = settings.threads.value_or(std::max(1, usable_cores() - 1));
  llama_context_params parameters = llama_context_default_params();
  const std::int32_t ctx = settings.ctx.value_or(std::min(trained, default_ctx));
  batching_ = settings.batching;
  // Each sequence has a context of its own, so that what one computes does not depend on how long the others are.
  const bool budget = batching_.kind == Batching::Kind::budget;
  sequences_ = budget ? std::min(batching_.size, most_of_a_budget) : std::max(1, batching_.size);
  const std::int32_t of_one = budget ? std::min(ctx, std::max(batching_.size, 8)) : ctx;
  if (std::int64_t{of_one} * sequences_ > INT32_MAX)
    return Failure{"memory", "a context of " + std::to_string(of_one) + " tokens for each of " +
                                 std::to_string(sequences_) + " prompts at once is more than can be counted"};
  parameters.n_ctx = static_cast<std::uint32_t>(of_one * sequences_);
  parameters.n_batch = static_cast<std::uint32_t>(settings.batch.value_or(default_batch));
  parameters.n_ubatch = parameters.n_batch;
  parameters.n_seq_max = static_cast<std::uint32_t>(sequences_);
  parameters.n_threads = parameters.n_threads_batch = threads;
  parameters.no_perf = true;
  parameters.abort_callback = aborted;
  parameters.abort_callback_data = &cancelled_;
  if (const std::uint64_t bytes = cache_bytes(model_.get(), parameters.n_ctx);
      (settings.ctx.value_or(0) > trained || sequences_ > 1) && bytes > physical_memory()) {
    model_.reset();
    return Failure{"memory", "a context of " + std::to_string(parameters.n_ctx) + " tokens would take " +
                                 std::to_string(bytes >> 30) + " GiB, this machine has " +
                                 std::to_string(physical_memory() >> 30) + " GiB"};
  }
  context_.reset(llama_init_from_model(model_.get(), parameters));
  if (!context_) {
    model_.reset();
    return Failure{"memory", "no context of " + std::to_string(parameters.n_ctx) + " tokens: " + take_log()};
  }
  batch_size_ = static_cast<std::int32_t>(llama_n_batch(context_.get()));
  if (batch_.token != nullptr) llama_batch_free(batch_);
  batch_ = llama_batch_init(batch_size_, 0, 1);
  in_cache_.clear();

  const llama_vocab* vocab = llama_model_get_vocab(model_.get());
  vocabulary_ = llama_vocab_n_tokens(vocab);
  no_end_tokens_.clear();
  for (llama_token token = 0; token < vocabulary_; ++token)
    if (llama_vocab_is_eog(vocab, token)) no_end_tokens_.push_back({token, -INFINITY});

  std::array<char, 256> description{};
  llama_model_desc(model_.get(), description.data(), description.size());
  facts.description = description.data();
  facts.quant = llama_ftype_name(llama_model_ftype(model_.get()));
  facts.name = metadata(model_.get(), "general.name");
  if (facts.name.empty()) facts.name = facts.description;
  facts.path = settings.model;
  facts.parameters = llama_model_n_params(model_.get());
  facts.size_bytes = llama_model_size(model_.get());
  facts.ctx = context_of_one();
  facts.sequences = sequences_;
  facts.ctx_trained = trained;
  facts.batch = batch_size_;
  facts.threads = llama_n_threads(context_.get());
  facts.load_ms = static_cast<double>(prony_now_ns() - begin) / 1e6;
  return {};
}

std::int32_t LlamaEngine::context_of_one() const { return static_cast<std::int32_t>(llama_n_ctx_seq(context_.get())); }

std::optional<Failure> LlamaEngine::all_tokens(const std::string& text, std::vector<llama_token>& tokens) const {
  const llama_vocab* vocab = llama_model_get_vocab(model_.get());
  const auto length = static_cast<std::int32_t>(text.size());
  tokens.resize(text.size() + 8);
  std::int32_t count =
      llama_tokenize(vocab, text.data(), length, tokens.data(), static_cast<std::int32_t>(tokens.size()), true, true);
  if (count < 0 && count != INT32_MIN) {
    tokens.resize(static_cast<std::size_t>(-count));
    count = llama_tokenize(vocab, text.data(), length, tokens.data(), -count, true, true);
  }
  if (count < 0) return Failure{"internal", "the tokenizer refused the prompt"};
  if (count == 0) return Failure{"context", "the prompt has no token"};
  tokens.resize(static_cast<std::size_t>(count));
  return {};
}

std::optional<Failure> LlamaEngine::count_tokens(const std::string& text, std::int32_t& count) const {
  std::vector<llama_token> tokens;
  auto failure = all_tokens(text, tokens);
  count = static_cast<std::int32_t>(tokens.size());
  return failure;
}

std::optional<Failure> LlamaEngine::tokenise(const PromptSettings& prompt, std::vector<llama_token>& tokens,
                                             Answer& answer) const {
  if (auto failure = all_tokens(prompt.text, tokens)) return failure;
  const auto most = static_cast<std::size_t>(prompt.truncate_tokens.value_or(0));
  if (most > 0 && tokens.size() > most) {
    const bool begins = tokens.front() == llama_vocab_bos(llama_model_get_vocab(model_.get()));
    const std::size_t cut = tokens.size() - most;
    tokens.erase(tokens.begin() + (begins ? 1 : 0),
                 tokens.begin() + static_cast<std::ptrdiff_t>(cut + (begins ? 1 : 0)));
    answer.truncated_tokens = static_cast<std::int32_t>(cut);
  }
  answer.prompt_tokens = static_cast<std::int32_t>(tokens.size());
  if (answer.prompt_tokens >= context_of_one())
    return Failure{"context", "the prompt has " + std::to_string(tokens.size()) + " tokens; a context of " +
                                  std::to_string(context_of_one()) + " leaves no room for an answer"};
  return {};
}

// Greedy is the largest logit and nothing else: no temperature, no random number.
LlamaEngine::Sampler LlamaEngine::make_sampler(const PromptSettings& prompt, bool may_end) const {
  llama_sampler_chain_params parameters = llama_sampler_chain_default_params();
  parameters.no_perf = true;
  Sampler chain(llama_sampler_chain_init(parameters));
  if (!may_end && !no_end_tokens_.empty())
    llama_sampler_chain_add(chain.get(),
                            llama_sampler_init_logit_bias(vocabulary_, static_cast<std::int32_t>(no_end_tokens_.size()),
                                                          no_end_tokens_.data()));
  if (prompt.temperature <= 0 || prompt.top_k == 1) {
    llama_sampler_chain_add(chain.get(), llama_sampler_init_greedy());
    return chain;
  }
  if (prompt.top_k > 0) llama_sampler_chain_add(chain.get(), llama_sampler_init_top_k(prompt.top_k));
  if (prompt.top_p < 1)
    llama_sampler_chain_add(chain.get(), llama_sampler_init_top_p(static_cast<float>(prompt.top_p), 1));
  llama_sampler_chain_add(chain.get(), llama_sampler_init_temp(static_cast<float>(prompt.temperature)));
  llama_sampler_chain_add(chain.get(), llama_sampler_init_dist(prompt.seed));
  return chain;
}

// 2: aborted by the callback, which is no failure.
std::optional<Failure> decode_failure(std::int32_t code) {
  if (code == 0 || code == 2) return {};
  if (code == 1) return Failure{"context", "no room in the key-value cache"};
  return Failure{"internal", "llama_decode failed (" + std::to_string(code) + "): " + take_log()};
}

void LlamaEngine::put(llama_token token, std::int32_t position, llama_seq_id sequence, bool logits) {
  const std::int32_t at = batch_.n_tokens++;
  batch_.token[at] = token;
  batch_.pos[at] = position;
  batch_.n_seq_id[at] = 1;
  batch_.seq_id[at][0] = sequence;
  batch_.logits[at] = logits ? 1 : 0;
}

std::optional<Failure> LlamaEngine::compute() {
  if (auto failure = decode_failure(llama_decode(context_.get(), batch_))) return failure;
  llama_synchronize(context_.get());  // some backends return before the logits are there
  return {};
}

std::optional<Failure> LlamaEngine::prefill(const std::vector<llama_token>& tokens, std::int32_t from) {
  const auto count = static_cast<std::int32_t>(tokens.size());
  for (std::int32_t at = from; at < count && !cancelled_; at += batch_size_) {
    batch_.n_tokens = 0;
    for (std::int32_t i = at; i < std::min(count, at + batch_size_); ++i)
      put(tokens[static_cast<std::size_t>(i)], i, 0, i == count - 1);
    if (auto failure = compute()) return failure;
  }
  return {};
}

// How many of the prompt's first tokens need not be computed again; the cache then holds these and no more.
std::int32_t LlamaEngine::take_from_cache(const std::vector<llama_token>& tokens, bool wanted) {
  llama_memory_t memory = llama_get_memory(context_.get());
  std::size_t same = 0;
  if (wanted)  // the last one is computed in any case: its logits are wanted
    while (same + 1 < tokens.size() && same < in_cache_.size() && tokens[same] == in_cache_[same]) ++same;
  in_cache_.clear();
  if (same > 0 && llama_memory_seq_rm(memory, 0, static_cast<llama_pos>(same), -1))
    return static_cast<std::int32_t>(same);
  llama_memory_clear(memory, true);  // no prefix of the prompt before may help this one
  return 0;
}

bool LlamaEngine::take_token(llama_token token, const PromptSettings& prompt, Answer& answer,
                             std::vector<llama_token>& made) const {
  made.push_back(token);
  ++answer.output_tokens;
  const bool end = llama_vocab_is_eog(llama_model_get_vocab(model_.get()), token) && !prompt.ignore_eos;
  if (prompt.keep_output && !end) append_text(token, answer.text);
  const std::int32_t position = answer.prompt_tokens + answer.output_tokens - 1;
  answer.context_full = !end && answer.output_tokens < prompt.max_tokens && position >= context_of_one();
  if (!end && answer.output_tokens < prompt.max_tokens && !answer.context_full) return false;
  answer.finish = end ? "eos" : "length";
  return true;
}

void LlamaEngine::note_repetition(const std::vector<llama_token>& made, Answer& answer) const {
  const Repetition loop = repeated_tail(made, 24, 256);
  answer.loop_tokens = static_cast<std::int32_t>(loop.length);
  answer.loop_period = static_cast<std::int32_t>(loop.period);
}

void LlamaEngine::append_text(llama_token token, std::string& text) const {
  const llama_vocab* vocab = llama_model_get_vocab(model_.get());
  std::array<char, 128> piece{};
  std::int32_t length =
      llama_token_to_piece(vocab, token, piece.data(), static_cast<std::int32_t>(piece.size()), 0, false);
  if (length >= 0) {
    text.append(piece.data(), static_cast<std::size_t>(length));
    return;
  }
  std::string longer(static_cast<std::size_t>(-length), '\0');
  length = llama_token_to_piece(vocab, token, longer.data(), -length, 0, false);
  if (length > 0) text += longer;
}

std::optional<Failure> LlamaEngine::answer(const PromptSettings& prompt, const Observer& observer, Answer& answer) {
  take_log();
  const std::int64_t begin = prony_now_ns();
  std::vector<llama_token> tokens, made;
  if (auto failure = tokenise(prompt, tokens, answer)) return failure;
  answer.cached_tokens = take_from_cache(tokens, prompt.cache_prompt);
  const Sampler held = prompt.ignore_eos || prompt.min_tokens > 0 ? make_sampler(prompt, false) : Sampler();
  const Sampler free = prompt.ignore_eos ? Sampler() : make_sampler(prompt, true);
  const std::int64_t tokenised = prony_now_ns();
  observer.tokenise(begin, tokenised);

  if (auto failure = prefill(tokens, answer.cached_tokens)) return failure;
  std::int64_t last = tokenised, prefilled = 0;
  answer.finish = "stop";
  while (!cancelled_) {
    if (prompt.cancel_after_ns >= 0 && prony_now_ns() - begin >= prompt.cancel_after_ns) {
      answer.finish = "cancelled";
      break;
    }
    const bool may_end = free && answer.output_tokens >= prompt.min_tokens;
    const llama_token token = llama_sampler_sample((may_end ? free : held).get(), context_.get(), -1);
    const std::int64_t now = prony_now_ns();
    if (prefilled == 0) {
      prefilled = now;
      observer.prefill(tokenised, now);
    }
    observer.token(last, now);
    last = now;
    if (take_token(token, prompt, answer, made)) break;
    batch_.n_tokens = 0;
    put(token, answer.prompt_tokens + answer.output_tokens - 1, 0, true);
    if (auto failure = compute()) return failure;
  }
  if (answer.output_tokens > 1) observer.decode(prefilled, last);
  note_repetition(made, answer);
  if (answer.finish == "stop") return {};  // where it was aborted, nobody knows what the cache holds
  in_cache_ = std::move(tokens);
  if (!made.empty()) in_cache_.insert(in_cache_.end(), made.begin(), made.end() - 1);
  return {};
}

}  // namespace prony_engine
