// LoadDriver: keeps many requests of a worker under way, by a LoadPlan. Prompts are made and sent shortly before they
// are due, so that neither this process nor the worker ever holds more of them than are under way and a few hundred.
// Every request that was sent has exactly one end: answered, failed, cancelled, or withdrawn before it was begun.
// Turns of a conversation go one after another: of a closed load on the stream that began it, of an open one each when
// the one before is answered; what arrives by the schedule are conversations.
// Thread promise: run() from one thread; the flags are set by any and seen after a wake of the link. Ownership: link,
// settings and flags must outlive it. Errors: lines of the outcome.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "workloads/conversations.hpp"
#include "workloads/load_plan.hpp"
#include "workloads/prompts.hpp"
#include "workloads/saturation.hpp"
#include "workloads/worker_link.hpp"
#include "workloads/workload.hpp"

namespace prony {

class LoadDriver {
 public:
  struct Settings {
    const LoadPlan& plan;
    const std::vector<Prompt>& prompts;  // in turn, from the first again after the last
    std::function<nlohmann::json(const Prompt&, const std::string& id, std::int32_t round)> request_of;
    // How a turn of a conversation ended: its answer (null: it has none), and whether no further turn will be asked.
    std::function<void(const Prompt&, std::int32_t round, const nlohmann::json* result, bool last)> ended = {};
    std::int64_t request_timeout_ns = 0;
    bool worker_keeps_time = false;  // the worker holds a prompt until its "at_ns"
    bool keep_output = false;
    std::int64_t turn_think_ns = 0;  // before a further turn of a conversation; 0: as long as streams rest
    std::string id_prefix = {};      // of several models: "model/"
    std::size_t levels_before = 0;   // of the models before
    std::string level_prefix = {};   // "model: "
  };
  struct Flags {
    const std::atomic<bool>& cancelled;  // end what runs
    const std::atomic<bool>& finishing;  // begin nothing more
  };

  LoadDriver(WorkerLink& link, Settings settings, Flags flags);
  // False: worker and driver no longer understand each other, or it died.
  [[nodiscard]] bool run(WorkloadOutcome& outcome, const std::function<void(const Progress&)>& progress,
                         std::function<std::string(const Reply&)> describe);
  [[nodiscard]] std::size_t levels() const noexcept { return seen_.number; }  // begun so far

 private:
  struct Turn {
    std::size_t conversation = 0;  // counted over all rounds
    std::size_t number = 0;        // of it
  };
  struct Under {  // one request that was sent and not answered
    std::size_t place = 0;
    std::int64_t due_ns = 0;  // on the clock
    Turn turn = {};
  };
  using UnderWay = std::unordered_map<std::string, Under>;

  void begin_level(LoadLevel level);
  void drive_level();
  void send_what_may_be();
  [[nodiscard]] bool may_begin() const;
  void send_next_turn();
  void begin_conversation(std::optional<std::int64_t> at_ns, std::int64_t due_ns);
  void send_one(Turn turn, std::optional<std::int64_t> at_ns, std::int64_t due_ns);
  [[nodiscard]] const Prompt& prompt_of(Turn turn) const;
  [[nodiscard]] std::size_t turns_of(Turn turn) const {
    return conversations_.turns(turn.conversation % conversations_.size()).size();
  }
  [[nodiscard]] std::int32_t round_of(Turn turn) const {
    return static_cast<std::int32_t>(turn.conversation / conversations_.size()) + 1;
  }
  // True: the conversation goes on with another turn.
  [[nodiscard]] bool go_on(Turn turn, const nlohmann::json* result);
  [[nodiscard]] std::size_t most_under_way() const;
  [[nodiscard]] bool level_is_sent() const;
  [[nodiscard]] std::int64_t deadline_ns();
  [[nodiscard]] std::int64_t hang_ns();
  [[nodiscard]] bool over() const noexcept { return flags_.cancelled || flags_.finishing; }
  void take(const Reply& reply);
  [[nodiscard]] UnderWay::iterator asked_for(const nlohmann::json& message);
  void take_end(const nlohmann::json& message, UnderWay::iterator found);
  void take_result(const nlohmann::json& message, const std::string& id, RequestSeen& seen);
  void watch_saturation(const RequestSeen& seen);
  void stream_is_free(std::int64_t now_ns);
  void lose_all(const Reply& reply);
  void withdraw();
  void heed_flags();
  void fail(const std::string& id, const std::string& why, bool lost = false);
  void tell(bool now);
  void conclude();

  WorkerLink& link_;
  Settings settings_;
  Flags flags_;
  WorkloadOutcome* outcome_ = nullptr;
  std::function<void(const Progress&)> progress_;
  std::function<std::string(const Reply&)> describe_;

  LoadLevel level_;
  LevelSeen seen_;
  Saturation saturation_;
  int overloads_ = 0;  // looks at it in a row that found one
  std::int64_t begin_ns_ = 0, last_reply_ns_ = 0, last_told_ns_ = 0, cancelled_at_ns_ = 0;
  std::size_t sent_here_ = 0, answered_here_ = 0;  // of this level
  // Conversations; their turns; those of them that cannot be asked any more.
  std::size_t begun_here_ = 0, promised_here_ = 0, lost_here_ = 0;
  std::deque<std::int64_t> ready_ns_;                    // closed: when a stream may send, ascending
  std::deque<std::pair<std::int64_t, Turn>> following_;  // further turns and when they are due, ascending
  bool withdrawn_ = false;                               // nothing more of this level is begun
  UnderWay under_way_;
  std::deque<std::pair<std::string, std::int64_t>> order_;  // of sending, with when each was due; answered ones too
  Conversations conversations_;
  std::size_t place_ = 0, begun_ = 0;  // requests sent, conversations begun, over all levels
  std::int64_t output_tokens_ = 0;     // of this level
  std::vector<std::string> failed_;    // the first of them
  std::size_t done_ = 0, failed_here_ = 0, cancelled_ = 0, not_begun_ = 0;
  std::size_t cancelled_before_ = 0, answers_before_ = 0;  // of the models before
  bool broken_ = false;
};

}  // namespace prony
