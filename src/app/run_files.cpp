#include "app/run_files.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "app/common.hpp"
#include "app/machine_choice.hpp"
#include "base/text.hpp"

namespace prony::app {

namespace {

constexpr Duration retry_after = milliseconds(30'000);

}  // namespace

Result<std::unique_ptr<RunFiles>> RunFiles::open(const SinkSpec& spec, Machine& machine) {
  auto turn_over = turn_over_of(spec);
  if (!turn_over) return Unexpected<Error>(turn_over.error());
  const std::int64_t wall_ns = machine.anchor().wall_ns;
  std::filesystem::path wanted = spec.target;
  if (wanted.empty()) wanted = std::filesystem::path("runs") / (compact_utc(wall_ns) + "Z-monitor.prony");
  std::unique_ptr<RunFiles> files(new RunFiles(machine, std::move(wanted), *turn_over));
  auto recorder = files->make(wall_ns);
  if (!recorder) return Unexpected<Error>(recorder.error());
  files->first_ = std::move(*recorder);
  return files;
}

RunFiles::~RunFiles() = default;

// Files that follow each other are named by when they begin.
Result<std::unique_ptr<Recorder>> RunFiles::make(std::int64_t wall_ns) {
  std::filesystem::path path = wanted_;
  if (turn_over_.bytes || turn_over_.age)
    path.replace_filename(wanted_.stem().string() + "." + compact_utc(wall_ns) + "Z" + wanted_.extension().string());
  auto recorder =
      Recorder::create(path, RecorderOptions{.if_exists = IfExists::number, .commit_every = milliseconds(2000)});
  if (recorder) path_ = (*recorder)->path();
  return recorder;
}

void RunFiles::begin(Session& session, Manifest manifest, Around around) {
  session_ = &session;
  manifest_ = std::move(manifest);
  around_ = std::move(around);
  mark(true);
}

// The measured window of a file is all of it.
void RunFiles::mark(bool begin) {
  const Instant now = machine_.now();
  span_.id = SpanId{1};
  span_.kind = SpanKind::run;
  span_.name = "monitor";
  span_.status = begin ? SpanStatus::unfinished : SpanStatus::ok;
  if (begin) span_.interval.begin = began_ = now;
  span_.interval.end = now;
  session_->add(span_);
  if (begin) return;
  session_->add(Total{"target", "wall_s", span_.interval.length().seconds().value(), "monotonic clock"});
  for (const Total& truth : true_joules(machine_, session_->channels(), span_.interval)) session_->add(truth);
}

void RunFiles::see(const TickBlock& block) {
  if (block.ticks() == 0) return;
  const std::size_t tick = block.ticks() - 1;
  std::vector<Reading> readings;
  for (std::size_t c = 0; c < block.channels(); ++c) readings.push_back(block.reading(c, tick));
  TickBlock edge(block.group(), block.channels(), 1);
  edge.push(block.begin(tick), block.end(tick), readings);
  edge_.insert_or_assign(block.group().value, std::move(edge));
}

void RunFiles::turn_if_due() {
  if (session_ == nullptr) return;
  const Instant now = machine_.now();
  const bool old = turn_over_.age && now - began_ >= *turn_over_.age;
  const bool large = turn_over_.bytes && session_->bytes_written() >= *turn_over_.bytes;
  if ((old || large) && now >= retry_) turn();
}

void RunFiles::turn() {
  const std::filesystem::path before = path_;
  const Anchor anchor = machine_.anchor();
  const auto later = [&](const Error& error) {  // what is recorded goes on where it was
    print_error(error);
    retry_ = anchor.monotonic + retry_after;
    path_ = before;
  };
  auto next = make(anchor.wall_ns);
  if (!next) return later(next.error());
  const std::filesystem::path made = path_;
  manifest_.set("run.started_utc", format_utc(anchor.wall_ns), "machine");
  std::vector<TickBlock> edge;
  for (const auto& [group, ticks] : edge_) edge.push_back(ticks);
  around_(true);
  mark(false);
  auto old = session_->turn_over(std::move(*next), manifest_, edge);
  if (!old) {
    std::error_code ignored;
    std::filesystem::remove(made, ignored);
    return later(old.error());
  }
  mark(true);
  // The window begins where the one before ended: at the last tick that both have.
  std::optional<Instant> begin;
  for (const TickBlock& ticks : edge) begin = std::max(begin.value_or(ticks.begin(0)), ticks.begin(0));
  if (begin) span_.interval.begin = *begin;
  session_->add(span_);
  around_(false);
  ended_.push_back(before);
  if (closing_.joinable()) closing_.join();
  closing_ = std::jthread([recorder = std::move(*old)]() mutable {
    if (recorder)
      if (const auto closed = recorder->close(RunState::complete); !closed) print_error(closed.error());
  });
  forget_old();
}

void RunFiles::forget_old() {
  while (turn_over_.keep && ended_.size() > *turn_over_.keep + 1) {  // the newest of them is being closed
    std::error_code ignored;
    std::filesystem::remove(ended_.front(), ignored);
    ended_.pop_front();
  }
}

void RunFiles::discard() {
  first_.reset();
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

void RunFiles::end() {
  mark(false);
  if (closing_.joinable()) closing_.join();
  if (turn_over_.keep && ended_.size() > *turn_over_.keep) {
    std::error_code ignored;
    std::filesystem::remove(ended_.front(), ignored);
  }
}

}  // namespace prony::app
