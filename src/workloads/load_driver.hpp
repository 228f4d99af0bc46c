// LoadDriver: keeps many requests of a worker under way, by a LoadPlan. Prompts are made and sent shortly before they
// are due, so that neither this process nor the worker ever holds more of them than are under way and a few hundred.
// Every request that was sent has exactly one end: answered, failed, cancelled, or withdrawn before it was begun.
// Thread promise: run() from one thread; the flags are set by any and seen after a wake of the link. Ownership: link,
// settings and flags must outlive it. Errors: lines of the outcome.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

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
    std::function<nlohmann::json(const Prompt&, const std::string& id)> request_of;
    std::int64_t request_timeout_ns = 0;
    bool worker_keeps_time = false;  // the worker holds a prompt until its "at_ns"
    bool keep_output = false;
    std::size_t first = 0;  // of the prompts
  };
  struct Flags {
    const std::atomic<bool>& cancelled;  // end what runs
    const std::atomic<bool>& finishing;  // begin nothing more
  };

  LoadDriver(WorkerLink& link, Settings settings, Flags flags);
  // False: worker and driver no longer understand each other, or it died.
  [[nodiscard]] bool run(WorkloadOutcome& outcome, const std::function<void(const Progress&)>& progress,
                         std::function<std::string(const Reply&)> describe);

 private:
  struct Under {  // one request that was sent and not answered
    std::size_t place = 0;
    std::int64_t due_ns = 0;  // on the clock
  };
  using UnderWay = std::unordered_map<std::string, Under>;

  void begin_level(LoadLevel level);
  void drive_level();
  void send_what_may_be();
  void send_one(std::optional<std::int64_t> at_ns, std::int64_t due_ns);
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
  std::deque<std::int64_t> ready_ns_;              // closed: when a stream may send, ascending
  bool withdrawn_ = false;                         // nothing more of this level is begun
  UnderWay under_way_;
  std::deque<std::pair<std::string, std::int64_t>> order_;  // of sending, with when each was due; answered ones too
  std::size_t place_ = 0;                                   // requests sent so far, over all levels
  std::int64_t output_tokens_ = 0;                          // of this level
  std::vector<std::string> failed_;                         // the first of them
  std::size_t done_ = 0, cancelled_ = 0, not_begun_ = 0;
  bool broken_ = false;
};

}  // namespace prony
