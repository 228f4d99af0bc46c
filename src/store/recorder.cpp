#include "store/recorder.hpp"

#include <time.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "store/database.hpp"
#include "store/group_rows.hpp"
#include "store/look_rows.hpp"
#include "store/place.hpp"
#include "store/records.hpp"
#include "store/rollup.hpp"
#include "store/schema.hpp"
#include "store/span_consumer.hpp"
#include "store/span_rows.hpp"

namespace prony {
namespace {

// The recorder's own clock, only for when to commit: ticks may come from a simulated machine with a clock of its own.
Instant now() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return {time.tv_sec * 1'000'000'000 + time.tv_nsec};
}

Result<void> check_plan(std::span<const Channel> channels, std::span<const Group> groups) {
  std::unordered_set<std::uint32_t> ids, group_ids;
  std::unordered_set<std::string> names;
  for (const auto& channel : channels)
    if (!ids.insert(channel.id.value).second || !names.insert(channel.name).second)
      return fail(ErrorCode::usage, "two channels have the same id or name", channel.name);
  for (const auto& group : groups) {
    if (!group_ids.insert(group.id.value).second)
      return fail(ErrorCode::usage, "two groups have the same id", group.name);
    std::unordered_set<std::uint32_t> members;
    for (const auto id : group.channels)
      if (!ids.contains(id.value) || !members.insert(id.value).second)
        return fail(ErrorCode::usage, "a group names an unknown channel, or one twice", group.name);
  }
  return {};
}

class SqliteRecorder final : public Recorder {
 public:
  explicit SqliteRecorder(std::filesystem::path path, const RecorderOptions& options)
      : path_(std::move(path)), options_(options) {}
  SqliteRecorder(const SqliteRecorder&) = delete;
  SqliteRecorder& operator=(const SqliteRecorder&) = delete;
  // A recorder that is dropped without close() leaves a Run that says so.
  ~SqliteRecorder() override {
    if (!closed_) (void)close(RunState::interrupted);
  }

  Result<void> start();

  const std::filesystem::path& path() const noexcept override { return path_; }
  Result<void> begin(const Manifest& manifest, std::span<const Channel> channels, std::span<const Group> groups,
                     const Anchor& anchor) override;
  Result<void> append(const TickBlock& block) override;
  Result<void> append(const ProcessLook& look) override;
  Result<void> add_target(const Target& target) override;
  Result<void> add_span(const Span& span) override {
    return write([&] { return span_rows_.put(span); });
  }
  Result<void> add_event(const Event& event) override {
    latest_ = std::max(latest_, event.at);
    return write([&] { return put_event(database_, event); });
  }
  Result<void> add_anchor(const Anchor& anchor) override {
    return write([&] { return put_anchor(database_, anchor); });
  }
  Result<void> add_process(const ProcessRecord& process) override {
    return write([&] { return put_process(database_, process); });
  }
  Result<void> add_total(const Total& total) override {
    return write([&] { return put_total(database_, total); });
  }
  Result<void> add_fact(const Fact& fact) override {
    return write([&] { return put_fact(database_, fact); });
  }
  Result<void> add_unavailable(const Unavailable& unavailable) override {
    return write([&] { return put_unavailable(database_, unavailable); });
  }
  Result<void> add_passport(const ChannelPassport& passport) override {
    if (!channel_names_.contains(passport.channel))
      return fail(ErrorCode::usage, "a passport of an unknown channel", passport.channel);
    return write([&] { return put_passport(database_, passport); });
  }
  Result<void> drain_spans() override;
  int watch_spans() noexcept override { return consumer_ ? consumer_->watch(spans_path_) : -1; }
  bool spans_begun() const noexcept override { return consumer_ && consumer_->begun(); }
  Result<void> flush() override;
  Result<void> close(RunState state) override;
  const std::filesystem::path& spans_path() const noexcept override { return spans_path_; }
  std::uint64_t bytes_written() const noexcept override;

 private:
  template <class Action>
  Result<void> write(const Action& action);
  Result<void> commit();
  Result<void> commit_rows();
  Result<void> stop(Error error);
  Result<void> finish(RunState state);
  void leave_readable() noexcept;
  void remove_files() noexcept;

  std::filesystem::path path_, spans_path_;
  RecorderOptions options_;
  Database database_;
  std::optional<SpanConsumer> consumer_;
  SpanRows span_rows_;
  std::unordered_map<std::uint32_t, GroupWriter> groups_;
  LookWriter looks_;
  std::unordered_set<std::string> channel_names_, target_names_;
  Rollup rollup_;
  Statement rollup_insert_;
  std::optional<Error> failed_;  // recording stopped: every later call gets this answer
  Instant last_commit_, latest_;
  std::uint64_t lost_ = 0;
  bool begun_ = false;
  bool closed_ = true;  // until start() has succeeded
};

Result<void> SqliteRecorder::start() {
  auto made = make_place(path_, options_.if_exists);
  if (!made) return Unexpected<Error>(made.error());
  path_ = *std::move(made);
  spans_path_ = companion(path_, ".spans");
  auto consumer = SpanConsumer::create(spans_path_);
  if (!consumer) {
    remove_files();
    consumer.error().fix = "free some space, or choose another place with --out";
    return Unexpected<Error>(consumer.error());
  }
  consumer_.emplace(std::move(*consumer));
  const auto prepared = [&]() -> Result<void> {
    auto database = Database::open(path_.string(), SQLITE_OPEN_READWRITE, path_.string());
    if (!database) return Unexpected<Error>(database.error());
    database_ = std::move(*database);
    // Without a sync until the tables are there: a crash of the machine now loses nothing that anybody has.
    const auto settings =
        std::string("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY; PRAGMA auto_vacuum = INCREMENTAL; ") +
        (on_network(path_) ? "PRAGMA journal_mode = TRUNCATE" : "PRAGMA journal_mode = WAL");
    if (auto done = database_.execute(settings.c_str()); !done) return done;
    if (auto done = database_.execute("BEGIN"); !done) return done;
    if (auto done = create_schema(database_); !done) return done;
    const auto identity = own_identity();
    for (const auto& [key, value] :
         {std::pair<std::string, std::string>{"schema_version", std::to_string(schema_version)},
          {"state", std::string(to_string(RunState::recording))},
          {"prony_version", PRONY_VERSION},
          {"host", identity.host},
          {"boot_id", identity.boot_id},
          {"recorder_pid", std::to_string(identity.pid)},
          {"recorder_start_ticks", std::to_string(identity.start_ticks)},
          {"spans_lost", "0"}})
      if (auto done = put_meta(database_, key, value); !done) return done;
    if (auto done = database_.execute("COMMIT; PRAGMA synchronous = NORMAL"); !done) return done;
    auto rows = SpanRows::prepare(database_);
    if (!rows) return Unexpected<Error>(rows.error());
    span_rows_ = std::move(*rows);
    return {};
  }();
  if (!prepared) {
    database_.close();
    remove_files();
    return prepared;
  }
  last_commit_ = now();
  closed_ = false;
  return {};
}

void SqliteRecorder::remove_files() noexcept {
  std::error_code ignored;
  for (const auto* suffix : {"", "-wal", "-shm", "-journal", ".spans"})
    std::filesystem::remove(companion(path_, suffix), ignored);
}

Result<void> SqliteRecorder::begin(const Manifest& manifest, std::span<const Channel> channels,
                                   std::span<const Group> groups, const Anchor& anchor) {
  if (begun_) return fail(ErrorCode::usage, "begun already", path_.string());
  if (auto sound = check_plan(channels, groups); !sound) return sound;
  begun_ = true;
  latest_ = anchor.monotonic;
  for (const auto& channel : channels) channel_names_.insert(channel.name);
  auto done = write([&]() -> Result<void> {
    if (auto put = put_manifest(database_, manifest); !put) return put;
    if (auto put = put_channels(database_, channels); !put) return put;
    if (auto put = put_groups(database_, groups); !put) return put;
    if (auto put = put_anchor(database_, anchor); !put) return put;
    for (const auto& group : groups) {
      auto writer = GroupWriter::prepare(database_, group);
      if (!writer) return Unexpected<Error>(writer.error());
      groups_.emplace(group.id.value, std::move(*writer));
    }
    auto looks = LookWriter::prepare(database_);
    if (!looks) return Unexpected<Error>(looks.error());
    looks_ = std::move(*looks);
    auto insert = database_.prepare("INSERT OR REPLACE INTO rollup_second VALUES (?,?,?,?,?,?,?)");
    if (!insert) return Unexpected<Error>(insert.error());
    rollup_insert_ = std::move(*insert);
    rollup_ = Rollup(channels, groups, anchor.monotonic);
    return {};
  });
  if (!done) return done;
  return flush();
}

// Runs one piece of writing inside the open transaction; commits when it is time.
template <class Action>
Result<void> SqliteRecorder::write(const Action& action) {
  if (failed_) return Unexpected<Error>(*failed_);
  if (closed_) return fail(ErrorCode::usage, "the Run is closed", path_.string());
  if (!database_.in_transaction())
    if (auto opened = database_.execute("BEGIN IMMEDIATE"); !opened) return stop(opened.error());
  if (auto done = action(); !done) {
    if (done.error().code == ErrorCode::usage) return done;  // the caller's mistake; nothing was written
    return stop(done.error());
  }
  if (now() - last_commit_ >= options_.commit_every) return commit();
  return {};
}

Result<void> SqliteRecorder::append(const TickBlock& block) {
  return write([&]() -> Result<void> {
    const auto group = groups_.find(block.group().value);
    if (group == groups_.end()) return fail(ErrorCode::usage, "a block of an unknown group", path_.string());
    if (auto done = group->second.append(block); !done) return done;
    rollup_.add(block);
    if (block.ticks() > 0) latest_ = std::max(latest_, block.end(block.ticks() - 1));
    return {};
  });
}

Result<void> SqliteRecorder::append(const ProcessLook& look) {
  if (!begun_) return fail(ErrorCode::usage, "looks before the beginning", path_.string());
  return write([&]() -> Result<void> {
    if (auto done = looks_.append(look); !done) return done;
    latest_ = std::max(latest_, look.between.end);
    return {};
  });
}

Result<void> SqliteRecorder::add_target(const Target& target) {
  return write([&]() -> Result<void> {
    if (!target_names_.insert(target.name).second)
      return fail(ErrorCode::usage, "two targets have the same name", target.name);
    return put_target(database_, target_names_.size() - 1, target);
  });
}

Result<void> SqliteRecorder::drain_spans() {
  if (failed_) return Unexpected<Error>(*failed_);
  if (!consumer_) return {};
  auto done =
      write([&] { return consumer_->drain([&](const SpanChange& change) { return span_rows_.apply(change); }); });
  if (!done) {
    // A span file that somebody spoilt ends the spans, not the recording.
    if (!failed_ || failed_->code != ErrorCode::gone) return done;
    failed_.reset();
    consumer_.reset();
    return add_event({latest_, "spans-lost", "span file", done.error().what});
  }
  if (consumer_->should_publish()) return commit();
  return {};
}

Result<void> SqliteRecorder::flush() {
  if (failed_) return Unexpected<Error>(*failed_);
  if (closed_) return fail(ErrorCode::usage, "the Run is closed", path_.string());
  return commit();
}

Result<void> SqliteRecorder::commit_rows() {
  if (!database_.in_transaction())
    if (auto opened = database_.execute("BEGIN IMMEDIATE"); !opened) return opened;
  for (auto& [id, group] : groups_)
    if (auto done = group.write_tail(); !done) return done;
  if (auto done = looks_.write_tail(); !done) return done;
  auto done = rollup_.take([&](const RollupRow& row) {
    return rollup_insert_.run(row.channel.value, row.second, row.n, row.min, row.mean, row.max, row.energy_j);
  });
  if (!done) return done;
  if (consumer_ && consumer_->lost() != lost_) {
    lost_ = consumer_->lost();
    if (done = store_losses(database_, *consumer_, 0, latest_, false); !done) return done;
  }
  return database_.execute("COMMIT");
}

Result<void> SqliteRecorder::commit() {
  if (auto done = commit_rows(); !done) return stop(done.error());
  if (consumer_) consumer_->publish();  // only now: what is drained is in the file
  last_commit_ = now();
  return {};
}

// What was committed stays readable; nothing more is written.
Result<void> SqliteRecorder::stop(Error error) {
  if (database_.in_transaction()) (void)database_.execute("ROLLBACK");
  if (error.where.empty()) error.where = path_.string();
  if (consumer_ && error.code != ErrorCode::gone) consumer_->stop_producers();
  failed_ = std::move(error);
  return Unexpected<Error>(*failed_);
}

Result<void> SqliteRecorder::finish(RunState state) {
  if (auto done = drain_spans(); !done) return done;
  auto done = write([&]() -> Result<void> {
    if (consumer_) {
      auto finished = consumer_->finish([&](const SpanChange& change) { return span_rows_.apply(change); });
      if (!finished) return finished;
      latest_ = std::max(latest_, span_rows_.latest());
      lost_ = consumer_->lost();
      if (auto stored = store_losses(database_, *consumer_, 0, latest_, true); !stored) return stored;
    }
    for (auto& [id, group] : groups_)
      if (auto compacted = group.compact(); !compacted) return compacted;
    if (auto compacted = looks_.compact(); !compacted) return compacted;
    return put_meta(database_, "state", std::string(to_string(state)));
  });
  if (!done) return done;
  return flush();
}

// One plain file that can be read where nobody may write. Where a reader holds the file, it stays in WAL mode:
// Run::open reads that too.
void SqliteRecorder::leave_readable() noexcept {
  if (failed_) {  // a few bytes may still fit
    (void)put_meta(database_, "state", std::string(to_string(RunState::interrupted)));
    (void)put_event(database_, {latest_, "note", "recorder", "recording stopped: " + failed_->what});
  }
  (void)database_.execute("PRAGMA incremental_vacuum");
  (void)database_.execute("PRAGMA wal_checkpoint(TRUNCATE)");
  (void)database_.execute("PRAGMA journal_mode = DELETE");
}

Result<void> SqliteRecorder::close(RunState state) {
  if (closed_) return {};
  if (consumer_) consumer_->stop_producers();
  auto done = finish(state);
  leave_readable();
  groups_.clear();
  looks_ = {};
  rollup_insert_ = {};
  span_rows_ = {};
  database_.close();
  closed_ = true;
  std::error_code ignored;
  std::filesystem::remove(spans_path_, ignored);
  consumer_.reset();
  return done;
}

std::uint64_t SqliteRecorder::bytes_written() const noexcept {
  std::uint64_t sum = 0;
  for (const auto* suffix : {"", "-wal"}) {
    std::error_code error;
    const auto size = std::filesystem::file_size(companion(path_, suffix), error);
    if (!error) sum += size;
  }
  return sum;
}

}  // namespace

Result<std::unique_ptr<Recorder>> Recorder::create(const std::filesystem::path& path, const RecorderOptions& options) {
  auto recorder = std::make_unique<SqliteRecorder>(path, options);
  if (auto started = recorder->start(); !started) return Unexpected<Error>(started.error());
  return recorder;
}

}  // namespace prony
