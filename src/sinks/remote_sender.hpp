// RemoteSender: brings what waits in a Spool to a receiver (docs/collect.md), oldest first, a batch at a time; what was
// not answered for comes again, which the receiver knows by stream and number. A stream whose request is refused waits
// while others are sent; one that prony collect says it will never take is set aside. After a failure it waits, twice
// as long each time up to half a minute, less a random part, so that a thousand clients do not come back at once.
// Measures by the answers how far the receiver's clock is off. Thread promise: step() by one thread; notes() and
// trouble() by any. Ownership: borrows Spool and Network. Errors are told in notes, each kind once until something got
// through.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "machine/network.hpp"
#include "model/time.hpp"
#include "sinks/spool.hpp"

namespace prony {

struct RemotePlan {
  std::string url;                      // "https://collector:9787"
  std::string ca_file;                  // certificates to trust instead of the system's; "": those
  std::string token_file;               // read anew for each request; "": none
  std::string user, password_file;      // HTTP Basic; "": none
  Duration every = milliseconds(5000);  // between two looks for what waits
  Duration deadline = milliseconds(10'000);
  std::size_t batch_bytes = 256 * 1024;  // of frames in one request
};

struct RemoteClocks {
  std::function<Instant()> now;  // steady
  std::function<std::int64_t()> wall_ns;
};

class RemoteSender {
 public:
  RemoteSender(RemotePlan plan, Spool& spool, Network& network, RemoteClocks clocks, std::uint64_t seed);
  // Sends what is due; how long nothing is due then. `hurry`: tries at once, whatever the last failure asked for.
  [[nodiscard]] Duration step(bool hurry = false);
  // What happened since the last call, for the user.
  [[nodiscard]] std::vector<std::string> notes();
  // Why nothing gets through; "": the last request did.
  [[nodiscard]] std::string trouble() const;
  struct Counts {
    std::uint64_t requests = 0, frames = 0, known_already = 0;
  };
  [[nodiscard]] Counts counts() const;

 private:
  enum class Outcome { taken, again, failed };
  [[nodiscard]] Outcome send(const SpoolBatch& batch);
  [[nodiscard]] Outcome judge(const SpoolBatch& batch, const HttpResponse& answer, std::int64_t left_ns,
                              std::int64_t back_ns);
  [[nodiscard]] Outcome refused(const SpoolBatch& batch, const std::string& words);
  [[nodiscard]] Outcome set_aside(const SpoolBatch& batch, const std::string& words);
  [[nodiscard]] Outcome pass_over(const SpoolBatch& batch, const HttpResponse& answer);
  [[nodiscard]] Result<HttpRequest> request(const SpoolBatch& batch) const;
  [[nodiscard]] Outcome fail_with(const std::string& what, std::optional<double> after_s = std::nullopt);
  void succeed();
  void see_clock(const HttpResponse& answer, std::int64_t left_ns, std::int64_t back_ns);
  void note(std::string words);

  RemotePlan plan_;
  Spool& spool_;
  Network& network_;
  RemoteClocks clocks_;
  std::mt19937_64 random_;
  std::uint64_t most_frames_;
  unsigned failures_ = 0;
  std::optional<Instant> next_;  // not before
  std::set<std::string> described_;
  std::set<std::string> passed_over_;  // in this step, whose requests were refused,
  std::string refusal_;                // with these words at first
  struct Offset {
    std::int64_t low_ns = 0, high_ns = 0;  // the receiver's clock less ours lies between
  };
  std::deque<Offset> offsets_;

  mutable std::mutex mutex_;
  std::string trouble_;
  std::uint64_t told_lost_ = 0;
  std::vector<std::string> notes_;
  Counts counts_;
};

}  // namespace prony
