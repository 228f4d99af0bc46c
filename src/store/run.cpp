#include "store/run.hpp"

#include <algorithm>
#include <optional>

#include "base/text.hpp"
#include "model/interval_change.hpp"
#include "store/group_rows.hpp"
#include "store/look_rows.hpp"
#include "store/records.hpp"
#include "store/recover.hpp"
#include "store/span_rows.hpp"

namespace prony {
namespace {

class SqliteRun final : public Run {
 public:
  SqliteRun(std::filesystem::path path, OpenedRun opened) : path_(std::move(path)), opened_(std::move(opened)) {}

  Result<void> load();

  const std::filesystem::path& path() const noexcept override { return path_; }
  RunState state() const noexcept override { return opened_.state; }
  const Manifest& manifest() const noexcept override { return records_.manifest; }
  const std::vector<Channel>& channels() const noexcept override { return records_.channels; }
  const std::vector<Group>& groups() const noexcept override { return records_.groups; }
  const std::vector<Anchor>& anchors() const noexcept override { return records_.anchors; }
  const std::vector<Event>& events() const noexcept override { return records_.events; }
  const std::vector<Target>& targets() const noexcept override { return records_.targets; }
  const std::vector<ProcessRecord>& processes() const noexcept override { return records_.processes; }
  const std::vector<Total>& totals() const noexcept override { return records_.totals; }
  const std::vector<ChannelPassport>& passports() const noexcept override { return records_.passports; }
  const std::vector<Span>& spans() const noexcept override { return spans_; }
  std::uint64_t spans_lost() const noexcept override { return spans_lost_; }
  Result<void> for_each_block(GroupId group, const std::function<bool(const TickBlock&)>& visit,
                              Instant from) const override;
  Result<void> for_each_look(const std::function<bool(const ProcessLook&)>& visit) const override;

 private:
  Result<void> load_all();
  Result<void> find_ends();

  std::filesystem::path path_;
  mutable OpenedRun opened_;  // reading needs the connection, and changes nothing of the Run
  Records records_;
  std::vector<Span> spans_;
  std::vector<std::optional<Instant>> ends_;  // begin of each group's last tick, when the Run was opened
  std::optional<Instant> end_of_looks_;       // likewise
  std::uint64_t spans_lost_ = 0;
};

Result<void> SqliteRun::find_ends() {
  for (const auto& group : records_.groups) {
    auto statement = opened_.database.prepare(
        is_slow(group) ? "SELECT begin_ns FROM sample WHERE group_id = ? ORDER BY tick DESC LIMIT 1"
                       : "SELECT last_ns FROM chunk WHERE group_id = ? ORDER BY first_tick DESC LIMIT 1");
    if (!statement) return Unexpected<Error>(statement.error());
    statement->bind_all(group.id.value);
    const auto row = statement->step();
    if (!row) return Unexpected<Error>(row.error());
    ends_.push_back(*row ? std::optional(Instant{statement->integer(0)}) : std::nullopt);
  }
  const auto looks = end_of_looks(opened_.database);
  if (!looks) return Unexpected<Error>(looks.error());
  end_of_looks_ = *looks;
  return {};
}

Result<void> SqliteRun::load_all() {
  auto records = load_records(opened_.database, path_.string());
  if (!records) return Unexpected<Error>(records.error());
  records_ = std::move(*records);
  add_interval_changes(records_.events, records_.groups);
  if (auto done = find_ends(); !done) return done;
  Instant last;
  for (const auto& anchor : records_.anchors) last = std::max(last, anchor.monotonic);
  for (const auto& event : records_.events) last = std::max(last, event.at);
  for (const auto& end : ends_) last = std::max(last, end.value_or(last));
  last = std::max(last, end_of_looks_.value_or(last));
  std::uint64_t homeless = 0;
  auto spans = load_spans(opened_.database, last, homeless);
  if (!spans) return Unexpected<Error>(spans.error());
  spans_ = std::move(*spans);
  const auto lost = opened_.database.text("SELECT value FROM meta WHERE key = 'spans_lost'");
  if (!lost) return Unexpected<Error>(lost.error());
  spans_lost_ = parse_u64(lost->value_or("0")).value_or(0) + homeless;
  return {};
}

// One transaction, so that a Run that is being recorded is seen as of one moment.
Result<void> SqliteRun::load() {
  if (auto begun = opened_.database.execute("BEGIN"); !begun) return begun;
  auto done = load_all();
  (void)opened_.database.execute("ROLLBACK");  // nothing was written
  return done;
}

Result<void> SqliteRun::for_each_block(GroupId id, const std::function<bool(const TickBlock&)>& visit,
                                       Instant from) const {
  for (std::size_t g = 0; g < records_.groups.size(); ++g) {
    const auto& group = records_.groups[g];
    if (group.id != id) continue;
    if (!ends_[g]) return {};
    // What is recorded after the opening is not part of what was opened.
    const auto until = opened_.state == RunState::recording ? ends_[g] : std::nullopt;
    return read_group(opened_.database, group, from, until, visit, path_.string());
  }
  return fail(ErrorCode::usage, "no group " + std::to_string(id.value), path_.string());
}

Result<void> SqliteRun::for_each_look(const std::function<bool(const ProcessLook&)>& visit) const {
  if (!end_of_looks_) return {};
  const auto until = opened_.state == RunState::recording ? end_of_looks_ : std::nullopt;
  return read_looks(opened_.database, until, visit, path_.string());
}

}  // namespace

Result<std::unique_ptr<Run>> Run::open(const std::filesystem::path& path) {
  auto opened = open_run_database(path);
  if (!opened) return Unexpected<Error>(opened.error());
  auto run = std::make_unique<SqliteRun>(path, std::move(*opened));
  if (auto loaded = run->load(); !loaded) return Unexpected<Error>(loaded.error());
  return run;
}

}  // namespace prony
