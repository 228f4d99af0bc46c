// Recorder: appends a Run to its file while it is recorded. One SQLite database; the format is in docs/run-format.md.
// Thread promise: one thread (the writer). kill −9 at any moment loses at most the last second. Errors: `full` when the
// disk is full (recording stops, everything before stays readable), `denied`/`absent` when the place cannot be written.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "base/result.hpp"
#include "model/channel.hpp"
#include "model/manifest.hpp"
#include "model/passport.hpp"
#include "model/process_use.hpp"
#include "model/sample.hpp"
#include "model/span.hpp"
#include "model/target.hpp"
#include "store/place.hpp"

namespace prony {

struct RecorderOptions {
  IfExists if_exists = IfExists::refuse;
  Duration commit_every = milliseconds(500);
};

class Recorder {
 public:
  // Creates the file (and missing parent directories). Errors: as make_place().
  [[nodiscard]] static Result<std::unique_ptr<Recorder>> create(const std::filesystem::path& path,
                                                                const RecorderOptions& options);
  virtual ~Recorder() = default;
  // Where it records: another path than was asked for, where names are numbered.
  [[nodiscard]] virtual const std::filesystem::path& path() const noexcept = 0;

  [[nodiscard]] virtual Result<void> begin(const Manifest& manifest, std::span<const Channel> channels,
                                           std::span<const Group> groups, const Anchor& anchor) = 0;
  // Blocks of one group must come in time order. Buffers and commits by itself every commit_every.
  [[nodiscard]] virtual Result<void> append(const TickBlock& block) = 0;
  // Looks must follow each other in time. Buffered and committed like blocks.
  [[nodiscard]] virtual Result<void> append(const ProcessLook& look) = 0;
  // In the order in which processes are asked for; once a name. usage: a name that is there already.
  [[nodiscard]] virtual Result<void> add_target(const Target& target) = 0;
  // The same id again replaces the span: a span may be added unfinished and once more when it ended.
  [[nodiscard]] virtual Result<void> add_span(const Span& span) = 0;
  [[nodiscard]] virtual Result<void> add_event(const Event& event) = 0;
  [[nodiscard]] virtual Result<void> add_anchor(const Anchor& anchor) = 0;
  // The same pid and start time again replaces the process, but for a number or target that the new one lacks.
  [[nodiscard]] virtual Result<void> add_process(const ProcessRecord& process) = 0;
  [[nodiscard]] virtual Result<void> add_total(const Total& total) = 0;
  // A fact known only later (engine version, the model's name); the same key again replaces the value.
  [[nodiscard]] virtual Result<void> add_fact(const Fact& fact) = 0;
  [[nodiscard]] virtual Result<void> add_unavailable(const Unavailable& unavailable) = 0;
  // What is known of a channel of this Run, by its name; the same channel again replaces it. usage: no such channel.
  [[nodiscard]] virtual Result<void> add_passport(const ChannelPassport& passport) = 0;
  // Drains the span ring (see spans_path) into the Run. Call a few times a second once spans_begun(), or once what
  // watch_spans() gave can be read, and once before close.
  [[nodiscard]] virtual Result<void> drain_spans() = 0;
  // A descriptor that can be read as soon as somebody has opened the ring file since the first call, for poll(2); the
  // Recorder's own. -1: the kernel does not tell. close() takes 10 to 20 ms longer once it was asked for.
  [[nodiscard]] virtual int watch_spans() noexcept = 0;
  // Whether somebody has begun to write spans.
  [[nodiscard]] virtual bool spans_begun() const noexcept = 0;
  // Writes everything buffered and commits.
  [[nodiscard]] virtual Result<void> flush() = 0;
  // Compacts, checkpoints, sets the state, removes the span file. The Recorder is of no use afterwards.
  [[nodiscard]] virtual Result<void> close(RunState state) = 0;

  // The ring file that workloads write to (PRONY_SPANS); created by create().
  [[nodiscard]] virtual const std::filesystem::path& spans_path() const noexcept = 0;
  // Whether the destination lies on a disk that could be tested for free space, and how much there is.
  [[nodiscard]] virtual std::uint64_t bytes_written() const noexcept = 0;
};

}  // namespace prony
