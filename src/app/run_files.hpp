// RunFiles: the Run files that a monitor records, one after the other: turned over by size and age, each a whole Run of
// its own whose first tick is the last of the one before, so that their joules add up. Thread promise: see() and
// turn_if_due() from the session's carrying thread; the rest from the owner's. Errors: those of Recorder::create().
#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "app/session.hpp"
#include "machine/machine.hpp"
#include "model/manifest.hpp"
#include "model/span.hpp"
#include "sinks/append_file.hpp"
#include "store/recorder.hpp"

namespace prony::app {

class RunFiles {
 public:
  // What is asked of the followers around a turn; see Followers::turn_over().
  using Around = std::function<void(bool before)>;

  // `spec`: run:FILE.prony,rotate-size=…,rotate-every=…,keep=…; without a file runs/<utc>-monitor.prony. Nothing that
  // exists is overwritten: a number goes behind the name.
  [[nodiscard]] static Result<std::unique_ptr<RunFiles>> open(const SinkSpec& spec, Machine& machine);
  ~RunFiles();
  RunFiles(const RunFiles&) = delete;
  RunFiles& operator=(const RunFiles&) = delete;

  // The first file's recorder, for Session::start().
  [[nodiscard]] std::unique_ptr<Recorder> first() { return std::move(first_); }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  // Instead of recording: takes the file away that was made.
  void discard();
  // After Session::start().
  void begin(Session& session, Manifest manifest, Around around);
  void see(const TickBlock& block);
  void turn_if_due();
  // Before Session::finish(): the span of the last file ends.
  void end();

 private:
  RunFiles(Machine& machine, std::filesystem::path wanted, TurnOver turn_over)
      : machine_(machine), wanted_(std::move(wanted)), turn_over_(turn_over) {}
  [[nodiscard]] Result<std::unique_ptr<Recorder>> make(std::int64_t wall_ns);
  void turn();
  void mark(bool begin);
  void forget_old();

  Machine& machine_;
  std::filesystem::path wanted_, path_;
  TurnOver turn_over_;
  std::unique_ptr<Recorder> first_;
  Session* session_ = nullptr;
  Manifest manifest_;
  Around around_;
  Span span_;
  std::map<std::uint32_t, TickBlock> edge_;  // the last tick of each lane
  std::deque<std::filesystem::path> ended_;
  Instant began_;         // the file in use
  Instant retry_;         // not before: a turn that failed is not tried at every tick
  std::jthread closing_;  // of the file before: compaction takes its time
};

}  // namespace prony::app
