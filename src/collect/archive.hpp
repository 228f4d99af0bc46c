// Archive: what `prony collect` has received, in one SQLite file that any tool may read meanwhile. A frame is known by
// its stream and number, so what comes twice is kept once. What store() has answered for outlives a kill of the process
// (WAL; a power cut may take the last seconds). One collector per file: a lock tells of another. Thread promise: one
// thread at a time. Errors: absent (a stream that was never described), malformed (what was sent does not fit its
// stream), full, denied, transient of the file system; usage (the file is something else, or in use).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "collect/batch.hpp"
#include "collect/form.hpp"
#include "store/database.hpp"

namespace prony::collect {

struct Stored {
  std::uint64_t fresh = 0, doubled = 0;  // of the frames that came
  std::uint64_t last_sequence = 0;       // the highest of the stream
};

struct StreamState {  // a row of `stream`, without what it measures
  std::string client, name, host, boot, version, simulated;
  std::int64_t begun_wall_ns = 0, interval_ns = 0, first_received_ns = 0, last_received_ns = 0, last_wall_ns = 0;
  std::uint64_t frames = 0, doubled = 0, lost = 0, dropped = 0, last_sequence = 0;
  std::optional<ClockOffset> clock;
};

struct StreamValues {
  std::vector<SeriesHead> series;
  std::vector<std::optional<double>> latest;  // the newest that was there of each
};

// What came before ?1 (received_ns), the oldest first, ?2 of it at most: by index, not through the whole file.
inline constexpr const char* frames_before =
    "SELECT stream_id, sequence FROM frame WHERE received_ns < ?1 ORDER BY received_ns, stream_id, sequence LIMIT ?2";
inline constexpr const char* messages_before =
    "SELECT id FROM message WHERE received_ns < ?1 ORDER BY received_ns, id LIMIT ?2";
// As many numbers of a stream of messages are known again; a lower one counts as known.
inline constexpr std::int64_t numbers_known = 10'000;

struct LogState {  // what a client of the HeFlwr dialects has sent
  std::string client, last_message;
  std::uint64_t messages = 0, doubled = 0, bytes_sent = 0, bytes_received = 0;
  std::int64_t first_received_ns = 0, last_received_ns = 0;
  LogNumbers last;
};

// `where` of the error (malformed) that a frame does not fit its stream: it never will. A damaged file is malformed,
// too, and no fault of the frame.
inline constexpr const char* frame_misfit = "frame";

// [1.5,null,3] and back; what is no number is absent.
[[nodiscard]] std::string values_text(const std::vector<std::optional<double>>& values);
[[nodiscard]] std::vector<std::optional<double>> values_of(const std::string& text);

class Archive {
 public:
  [[nodiscard]] static Result<Archive> open(const std::string& path);

  [[nodiscard]] Result<Stored> store(const Batch& batch, std::int64_t received_ns);
  // true: it is new.
  [[nodiscard]] Result<bool> store(const LogEntry& entry, std::int64_t received_ns);
  // Takes frames and messages away that came before, `most` of each at most; true: there are more. Their numbers stay
  // known, counts and totals stay.
  [[nodiscard]] Result<bool> forget_before(std::int64_t received_ns, std::uint64_t most = 2'000);

  [[nodiscard]] Result<std::vector<StreamState>> streams();
  [[nodiscard]] Result<StreamValues> values(const std::string& stream);
  // Each stream with its series and the newest of each, as many; lent for the call.
  using Visitor = std::function<void(const StreamState&, const std::vector<SeriesHead>&,
                                     const std::vector<std::optional<double>>& latest)>;
  [[nodiscard]] Result<void> visit(const Visitor& visitor);
  [[nodiscard]] Result<std::vector<LogState>> logs();

 private:
  struct Known {  // of a stream that sends
    std::int64_t id = 0;
    std::string client;
    std::size_t series = 0;
    std::uint64_t last_sequence = 0, forgotten_through = 0;
    std::int64_t last_wall_ns = 0;
    std::vector<std::optional<double>> latest;
  };
  Archive() = default;
  [[nodiscard]] Result<void> begin(const std::string& path);
  [[nodiscard]] Result<std::optional<Known>> find(const std::string& stream);
  [[nodiscard]] Result<Known> describe(const Batch& batch, std::int64_t received_ns);
  [[nodiscard]] Result<Stored> write(const Batch& batch, Known& known, std::int64_t received_ns);
  [[nodiscard]] Result<bool> write_frame(const ReceivedFrame& frame, const Known& known, std::int64_t received_ns);
  [[nodiscard]] Result<bool> write_number(const LogEntry& entry, std::int64_t log_client_id);
  [[nodiscard]] const std::vector<SeriesHead>& parsed(const std::string& series);
  template <class Work>
  [[nodiscard]] auto in_transaction(Work&& work) -> decltype(work());

  Fd lock_;
  Database database_;
  std::map<std::string, Known> known_;
  std::map<std::string, std::vector<SeriesHead>> parsed_;  // by text: most streams of a client have the same
  std::size_t parsed_series_ = 0;
};

}  // namespace prony::collect
