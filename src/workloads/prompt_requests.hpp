// From prompts to what a worker is asked: their texts (made here where they are synthetic), the conversation that a
// turn continues, the lengths asked for, which of them their client will call off. Prompts come and go one by one, so
// that a hundred thousand need no more memory than their own. Knows the protocol's words, not its pipes. Pure; one
// thread. Errors: none; what cannot be asked is a State.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "workloads/prompts.hpp"

namespace prony {

// How every prompt is asked, where it does not say otherwise.
struct AskSettings {
  std::int32_t max_tokens = 128;
  std::optional<std::int32_t> min_tokens = std::nullopt;       // of output; absent: none
  std::optional<std::int32_t> truncate_tokens = std::nullopt;  // a longer prompt is cut to its last so many
  double temperature = 0;                                      // ≤ 0: greedy
  std::int32_t top_k = 0;                                      // 0 = off
  double top_p = 1;                                            // 1 = off
  std::uint32_t seed = 1;
  bool ignore_eos = false, keep_output = false;
  // Of the requests, drawn by seed: so many are called off by their client so long after they were sent.
  double cancel_rate = 0;
  std::int64_t cancel_after_ns = 0;
};

class PromptRequests {
 public:
  explicit PromptRequests(AskSettings settings) : settings_(settings) {}

  // What the worker can (its hello) and how its tokeniser counts (from a calibration).
  void worker_reads_messages(bool yes) noexcept { reads_messages_ = yes; }
  void count_tokens_by(const TokensPerWord& ratio) noexcept { ratio_ = ratio; }

  enum class State { ready, waits, never };  // waits: for the answer of the turn before; never: that one failed
  [[nodiscard]] State state(const Prompt& prompt, std::int32_t round) const;
  // A request of the protocol. `number`: from 0, over all rounds and models: what is drawn for it.
  [[nodiscard]] nlohmann::json request(const Prompt& prompt, const std::string& id, std::int32_t round,
                                       std::uint64_t number);
  // How it ended: a session goes on with its answer, or does not. `result`: the worker's reply.
  void answered(const Prompt& prompt, std::int32_t round, const nlohmann::json& result);
  void failed(const Prompt& prompt, std::int32_t round);
  // Whether a turn of its session came before.
  [[nodiscard]] bool continues(const Prompt& prompt, std::int32_t round) const;
  // No further turn of its session will be asked.
  void ended(const Prompt& prompt, std::int32_t round) { sessions_.erase(key(prompt, round)); }
  // Before another model is asked the same.
  void forget() { sessions_.clear(); }

 private:
  struct Session {
    std::vector<Message> messages;
    bool under_way = false, over = false;
  };
  [[nodiscard]] std::string text_of(const Prompt& prompt) const;
  [[nodiscard]] static std::string key(const Prompt& prompt, std::int32_t round);

  AskSettings settings_;
  TokensPerWord ratio_;
  bool reads_messages_ = false;
  std::map<std::string, Session> sessions_;
};

}  // namespace prony
