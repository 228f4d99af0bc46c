// Spool: lines that wait on disk until somebody has taken them, bounded: where they would take more than that, the
// oldest are given up and counted. One folder per stream in a common one; a lock tells whether its writer lives, and
// what a killed one left is taken over by the next (a torn last line is cut off). Each line goes out in one write, so
// kill -9 loses none; a power cut may take five seconds. Lines that were handed out and not reported done come again
// after a kill: who takes them must know them by stream and number. Thread promise: any thread; append() waits for the
// disk at most. Errors: denied, absent, full as the system tells; full also for a line that is larger than the bound.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "model/time.hpp"

namespace prony {

struct SpoolBatch {
  std::string stream, head;            // head: as the stream's writer gave it
  std::string lines;                   // each with its end
  std::uint64_t frames = 0, lost = 0;  // lost: of this stream, so far
  std::uint64_t segment = 0, end = 0;  // where it ends; for done()
};

class Spool {
 public:
  static constexpr std::uint64_t least_bound = 1'000'000;
  // `stream`: the name of this writer's folder, never used before; `head`: kept with it.
  [[nodiscard]] static Result<std::unique_ptr<Spool>> open(std::string folder, std::uint64_t bound_bytes,
                                                           const std::string& stream, const std::string& head);
  // Folders that are empty go, too.
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  // `line` without its end. The number counts up in each stream.
  [[nodiscard]] Result<void> append(std::uint64_t number, std::string_view line, Instant now);
  // The oldest lines, as many as fit and one at least, of streams that are not in `but`; nullopt: there are none. They
  // are not given up meanwhile.
  [[nodiscard]] std::optional<SpoolBatch> peek(std::size_t most_bytes, std::uint64_t most_frames,
                                               const std::set<std::string>& but = {});
  void done(const SpoolBatch& batch);
  void give_back();                      // not taken; they may be given up again
  void refuse(const SpoolBatch& batch);  // never will be: counted as lost
  // Nothing of this stream ever will be, nor what is appended to it: its folder goes to FOLDER/set-aside, with `why`.
  // How many frames that are, now.
  std::uint64_t set_aside(const std::string& stream, const std::string& why);

  [[nodiscard]] std::uint64_t waiting_bytes() const;
  [[nodiscard]] std::uint64_t waiting_frames() const;
  [[nodiscard]] std::uint64_t aside_frames() const;    // set aside, also by those before; they wait for nobody
  [[nodiscard]] std::uint64_t lost_frames() const;     // given up or refused, of all streams
  [[nodiscard]] std::uint64_t adopted_frames() const;  // found at the beginning
  [[nodiscard]] const std::string& folder() const noexcept { return folder_; }
  [[nodiscard]] std::string aside_folder() const { return folder_ + "/set-aside"; }

 private:
  struct Segment {
    std::uint64_t first = 0, size = 0, read = 0, frames = 0;  // frames: not done yet
  };
  struct Stream {
    std::string name, head, place;  // place: its folder
    bool aside = false;
    Fd lock;
    std::deque<Segment> segments;
    std::uint64_t lost = 0;
  };
  Spool() = default;
  [[nodiscard]] Result<void> begin(const std::string& stream, const std::string& head);
  void adopt_all(const std::string& folder, bool aside, const std::string& own);
  [[nodiscard]] static std::optional<Stream> adopt(const std::string& place, const std::string& name);
  [[nodiscard]] static std::string path(const Stream& stream, std::uint64_t first);
  [[nodiscard]] Result<void> make_room(std::uint64_t bytes);
  [[nodiscard]] bool give_up_oldest(bool aside);
  [[nodiscard]] Result<void> open_segment(std::uint64_t number);
  void finish(const SpoolBatch& batch, bool taken);
  void remove(Stream& stream, std::deque<Segment>::iterator segment);
  void remove_empty(Stream& stream) const;
  [[nodiscard]] std::uint64_t sum(bool aside, std::uint64_t (*of)(const Segment&)) const;
  [[nodiscard]] bool active(const Stream& stream, const Segment& segment) const;

  std::string folder_;
  std::uint64_t bound_ = 0, total_ = 0, lost_ = 0, adopted_ = 0;
  mutable std::mutex mutex_;
  std::deque<Stream> streams_;  // the oldest first; the last is this writer's
  Fd file_;                     // of the last segment of the last stream
  std::optional<Instant> synced_;
  std::optional<std::pair<std::string, std::uint64_t>> handed_out_;  // stream, segment
};

}  // namespace prony
