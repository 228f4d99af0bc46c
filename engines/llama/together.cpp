// Many prompts in one engine: static, dynamic, sorted and continuous batching on llama.cpp's sequences.
#include <prony/prony.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <string_view>

#include "llama_engine.hpp"

namespace prony_engine {

std::optional<Batching> batching_from(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) return std::nullopt;
  const std::string_view name = std::string_view(text).substr(0, colon);
  Batching batching;
  if (name == "static")
    batching.kind = Batching::Kind::fixed;
  else if (name == "dynamic")
    batching.kind = Batching::Kind::budget;
  else if (name == "sorted")
    batching.kind = Batching::Kind::sorted;
  else if (name == "continuous")
    batching.kind = Batching::Kind::continuous;
  else
    return std::nullopt;
  const char* end = text.data() + text.size();
  const auto [rest, problem] = std::from_chars(text.data() + colon + 1, end, batching.size);
  const std::int32_t most = batching.kind == Batching::Kind::budget ? 1 << 24 : 256;
  if (problem != std::errc() || rest != end || batching.size < 1 || batching.size > most) return std::nullopt;
  return batching;
}

struct LlamaEngine::Sequence {
  std::size_t prompt = 0;
  llama_seq_id place = 0;
  std::vector<llama_token> tokens, made;
  std::size_t prefilled = 0;
  Sampler held, free;  // held: may not end
  std::int64_t admitted_ns = 0, first_ns = 0, last_ns = 0;
  std::int32_t row = -1;  // of the step's logits; −1: it has none
  bool done = false;
  Observer observer;
  Answer answer;
  [[nodiscard]] bool decodes() const noexcept { return prefilled == tokens.size(); }
};

class LlamaEngine::Together {
 public:
  Together(LlamaEngine& engine, const std::vector<PromptSettings>& prompts, std::int64_t asked_ns,
           const BatchObserver& observer)
      : engine_(engine), prompts_(prompts), asked_ns_(asked_ns), observer_(observer) {}

  void run() {
    tokenise_all();
    for (llama_seq_id place = engine_.sequences_; place-- > 0;) places_.push_back(place);
    while (!engine_.cancelled_ && (!waiting_.empty() || !active_.empty())) {
      admit();
      if (!active_.empty()) one_step();
    }
    for (Sequence& sequence : active_) leave(sequence, "stop", {});
    for (Sequence& sequence : waiting_) {
      sequence.answer.finish = "stop";
      observer_.finished(sequence.prompt, sequence.answer, {});
    }
  }

 private:
  [[nodiscard]] const PromptSettings& prompt_of(const Sequence& sequence) const { return prompts_[sequence.prompt]; }

  // Beforehand, so that they can be sorted and fit into budgets.
  void tokenise_all() {
    for (std::size_t i = 0; i < prompts_.size() && !engine_.cancelled_; ++i) {
      Sequence sequence;
      sequence.prompt = i;
      sequence.observer = observer_.of_prompt(i);
      const std::int64_t begin = prony_now_ns();
      auto failure = engine_.tokenise(prompts_[i], sequence.tokens, sequence.answer);
      if (!failure && too_long_for_budget(sequence))
        failure = Failure{"context", "the prompt's " + std::to_string(needs(sequence)) +
                                         " tokens, with those to come, are more than the budget of a batch"};
      if (failure) {
        observer_.finished(i, sequence.answer, failure);
        continue;
      }
      sequence.observer.tokenise(begin, prony_now_ns());
      const PromptSettings& prompt = prompts_[i];
      if (prompt.ignore_eos || prompt.min_tokens > 0) sequence.held = engine_.make_sampler(prompt, false);
      if (!prompt.ignore_eos) sequence.free = engine_.make_sampler(prompt, true);
      waiting_.push_back(std::move(sequence));
    }
    if (engine_.batching_.kind == Batching::Kind::sorted)
      std::stable_sort(waiting_.begin(), waiting_.end(),
                       [](const Sequence& a, const Sequence& b) { return a.tokens.size() > b.tokens.size(); });
  }

  // Room in the cache, to the end of its answer.
  [[nodiscard]] std::int64_t needs(const Sequence& sequence) const {
    return static_cast<std::int64_t>(sequence.tokens.size()) + prompt_of(sequence).max_tokens;
  }
  [[nodiscard]] bool too_long_for_budget(const Sequence& sequence) const {
    return engine_.batching_.kind == Batching::Kind::budget && needs(sequence) > engine_.batching_.size;
  }

  void admit() {
    const Batching& batching = engine_.batching_;
    if (batching.kind != Batching::Kind::continuous && !active_.empty()) return;
    std::int64_t budget = batching.size;
    bool first = active_.empty();
    while (!waiting_.empty() && !places_.empty()) {
      Sequence& next = waiting_.front();
      if (batching.kind == Batching::Kind::budget && (budget -= needs(next)) < 0) break;
      if (called_off(next)) {
        next.answer.finish = "cancelled";
        observer_.finished(next.prompt, next.answer, {});
        waiting_.pop_front();
        continue;
      }
      next.place = places_.back();
      places_.pop_back();
      // Whoever had the place before left nothing in the cache; this makes it certain.
      llama_memory_seq_rm(llama_get_memory(engine_.context_.get()), next.place, -1, -1);
      next.admitted_ns = next.last_ns = prony_now_ns();
      active_.push_back(std::move(next));
      waiting_.pop_front();
    }
    if (first) batch_size_ = static_cast<std::int32_t>(active_.size());
  }

  [[nodiscard]] bool called_off(const Sequence& sequence) const {
    const std::int64_t after = prompt_of(sequence).cancel_after_ns;
    return after >= 0 && prony_now_ns() - asked_ns_ >= after;
  }

  // Answers go on first, one token each; prompts take what room is left.
  Step fill() {
    Step step;
    engine_.batch_.n_tokens = 0;
    for (Sequence& sequence : active_) {
      sequence.row = -1;
      if (!sequence.decodes() || engine_.batch_.n_tokens >= engine_.batch_size_) continue;
      sequence.row = engine_.batch_.n_tokens;
      const auto position = static_cast<std::int32_t>(sequence.tokens.size() + sequence.made.size()) - 1;
      engine_.put(sequence.made.back(), position, sequence.place, true);
      ++step.decode_tokens;
      ++step.sequences;
      step.kv_tokens += position + 1;
    }
    const bool decoding = step.decode_tokens > 0;
    for (Sequence& sequence : active_) {
      if (sequence.decodes()) continue;
      const auto room = static_cast<std::size_t>(engine_.batch_size_ - engine_.batch_.n_tokens);
      const std::size_t count = std::min(room, sequence.tokens.size() - sequence.prefilled);
      if (count == 0) break;
      for (std::size_t i = 0; i < count; ++i, ++sequence.prefilled) {
        const bool last = sequence.prefilled + 1 == sequence.tokens.size();
        if (last) sequence.row = engine_.batch_.n_tokens;
        engine_.put(sequence.tokens[sequence.prefilled], static_cast<std::int32_t>(sequence.prefilled), sequence.place,
                    last);
      }
      step.prefill_tokens += static_cast<std::int32_t>(count);
      ++step.sequences;
      step.kv_tokens += static_cast<std::int64_t>(sequence.prefilled);
    }
    step.padding_tokens = padding(decoding);
    return step;
  }

  // What a batch of fixed shape would compute beside it: the answers that are done while others of the batch go on, and
  // the difference to the longest prompt where all begin at once.
  [[nodiscard]] std::int32_t padding(bool decoding) {
    if (engine_.batching_.kind == Batching::Kind::continuous) return 0;
    if (decoding) return batch_size_ - static_cast<std::int32_t>(active_.size());
    const bool complete = std::all_of(active_.begin(), active_.end(), [](auto& s) { return s.decodes(); });
    if (!complete) return 0;  // told once, with the step that ends the prompts
    std::size_t longest = 0, all = 0;
    for (const Sequence& sequence : active_) {
      longest = std::max(longest, sequence.tokens.size());
      all += sequence.tokens.size();
    }
    return static_cast<std::int32_t>(longest * active_.size() - all);
  }

  void one_step() {
    Step step = fill();
    step.begin_ns = prony_now_ns();
    const auto failure = engine_.compute();
    if (engine_.cancelled_) return;
    if (failure) {
      for (Sequence& sequence : active_) leave(sequence, "error", failure);
      return forget_the_done();
    }
    for (Sequence& sequence : active_)
      if (sequence.row >= 0) sample(sequence);
    const std::int64_t now = prony_now_ns();
    step.end_ns = now;
    observer_.step(step);
    for (Sequence& sequence : active_) stamp(sequence, now);
    forget_the_done();
  }

  void sample(Sequence& sequence) {
    const bool may_end =
        sequence.free && static_cast<std::int32_t>(sequence.made.size()) >= prompt_of(sequence).min_tokens;
    llama_sampler* sampler = may_end ? sequence.free.get() : sequence.held.get();
    const llama_token token = llama_sampler_sample(sampler, engine_.context_.get(), sequence.row);
    sequence.done = engine_.take_token(token, prompt_of(sequence), sequence.answer, sequence.made);
  }

  // All tokens of a step are known at its end.
  void stamp(Sequence& sequence, std::int64_t now) {
    if (sequence.row >= 0) {
      if (sequence.first_ns == 0) {
        sequence.first_ns = now;
        sequence.observer.prefill(sequence.admitted_ns, now);
      }
      sequence.observer.token(sequence.last_ns, now);
      sequence.last_ns = now;
    }
    if (sequence.done)
      leave(sequence, sequence.answer.finish, {});
    else if (called_off(sequence))
      leave(sequence, "cancelled", {});
  }

  void leave(Sequence& sequence, const std::string& finish, const std::optional<Failure>& failure) {
    sequence.done = true;
    sequence.answer.finish = finish;
    if (sequence.made.size() > 1) sequence.observer.decode(sequence.first_ns, sequence.last_ns);
    engine_.note_repetition(sequence.made, sequence.answer);
    llama_memory_seq_rm(llama_get_memory(engine_.context_.get()), sequence.place, -1, -1);
    places_.push_back(sequence.place);
    observer_.finished(sequence.prompt, sequence.answer, failure);
  }

  void forget_the_done() {
    std::erase_if(active_, [](const Sequence& sequence) { return sequence.done; });
  }

  LlamaEngine& engine_;
  const std::vector<PromptSettings>& prompts_;
  const std::int64_t asked_ns_;
  const BatchObserver& observer_;
  std::deque<Sequence> waiting_;
  std::vector<Sequence> active_;
  std::vector<llama_seq_id> places_;
  std::int32_t batch_size_ = 0;  // sequences that the batch began with
};

void LlamaEngine::answer_all(const std::vector<PromptSettings>& prompts, std::int64_t asked_ns,
                             const BatchObserver& observer) {
  llama_memory_clear(llama_get_memory(context_.get()), true);
  in_cache_.clear();
  Together(*this, prompts, asked_ns, observer).run();
}

}  // namespace prony_engine
