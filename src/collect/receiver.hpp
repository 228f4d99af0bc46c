// Receiver: the collector's door. Takes batches of Prony's remote sink (POST /v1/frames) and the forms of HeFlwr's
// dialects (/log, /simple_log), shows what came (/v1/clients, /v1/clients/NAME, /v1/totals). Who may is decided by the
// door (sinks/http_door.hpp); how often one client may, here. Thread promise: open and destruction by one
// thread. Errors: those of HttpDoor and Archive.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "collect/archive.hpp"
#include "sinks/http_door.hpp"

namespace prony::collect {

struct Received {
  std::uint64_t requests = 0, frames = 0, doubled = 0, messages = 0, refused = 0;
  std::optional<Error> trouble;  // why nothing can be kept now: the disk is full
};

// The answers, without the door: what tests and the fuzzer meet. One thread at a time.
class Answers {
 public:
  explicit Answers(Archive archive, Rate of_a_client = {20, 60})
      : archive_(std::move(archive)), rate_({}, of_a_client) {}
  // `now_ns`: a steady clock; `wall_ns`: now.
  [[nodiscard]] HttpAnswer answer(const HttpQuestion& question, std::int64_t now_ns, std::int64_t wall_ns);
  // A slice of them; true: there is more of it to take away.
  [[nodiscard]] Result<bool> forget_before(std::int64_t wall_ns) { return archive_.forget_before(wall_ns); }
  [[nodiscard]] const Received& received() const noexcept { return received_; }

 private:
  [[nodiscard]] HttpAnswer take_batch(const HttpQuestion& question, std::int64_t now_ns, std::int64_t wall_ns);
  [[nodiscard]] HttpAnswer take_log(const HttpQuestion& question, std::int64_t now_ns);
  [[nodiscard]] HttpAnswer show(const HttpQuestion& question, std::int64_t now_ns, std::int64_t wall_ns);
  // `mark`: what the sender is told of it for ever; null: nothing, it comes again.
  [[nodiscard]] HttpAnswer refuse(unsigned status, const Error& error, const char* mark = nullptr);

  Archive archive_;
  RateLimit rate_;
  Received received_;
  struct Kept {
    std::int64_t until_ns = 0;
    HttpAnswer answer;
  };
  std::map<std::string, Kept> pages_;  // for a second at least: whoever asks often does not slow those who send
};

class Receiver {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Receiver>> open(Archive archive, DoorPlan plan);
  [[nodiscard]] std::string url() const { return door_->url(); }
  [[nodiscard]] Received received();
  // Takes away what came before then (wall clock), in slices between which others are served, up to a bound of work;
  // true: there is more, and somebody should call again. By any thread.
  [[nodiscard]] Result<bool> forget_before(std::int64_t wall_ns);

 private:
  explicit Receiver(Archive archive) : answers_(std::move(archive)) {}
  std::mutex mutex_;
  Answers answers_;
  std::unique_ptr<HttpDoor> door_;  // last: its thread uses the rest
};

}  // namespace prony::collect
