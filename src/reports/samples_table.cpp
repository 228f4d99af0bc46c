#include "reports/samples_table.hpp"

#include <algorithm>
#include <deque>

#include "base/text.hpp"

namespace prony {

namespace {

// "J" → "_j": the ending that a column's name takes.
std::string unit_ending(Measure measure) {
  std::string ending = "_";
  if (measure == Measure::count) return "_count";
  for (const char c : unit_of(measure)) ending += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return ending;
}

Column column_of(const Channel& channel) {
  // A modelled channel's readings are what goes into the model, not watts.
  if (channel.model) return {channel.name + ".busy_s", "busy CPU time of the host, input of the power model"};
  return {channel.name + unit_ending(channel.measure), channel.kind == ChannelKind::counter
                                                           ? "counter: only differences mean something"
                                                           : "gauge: the reading itself"};
}

Cell cell_of(const Channel& channel, Reading reading) {
  if (reading.quality == Quality::gap) return {};
  const bool is_unsigned = channel.kind == ChannelKind::counter && reading.raw < 0;  // bit 63 of a 64-bit counter
  if (channel.scale == 1 && !is_unsigned) return reading.raw;
  const double raw =
      is_unsigned ? static_cast<double>(static_cast<std::uint64_t>(reading.raw)) : static_cast<double>(reading.raw);
  return raw * channel.scale;
}

// Wall-clock time of an instant by the last anchor before it (the first, before that).
class WallClock {
 public:
  explicit WallClock(const std::vector<Anchor>& anchors) : anchors_(anchors) {
    std::sort(anchors_.begin(), anchors_.end(),
              [](const Anchor& a, const Anchor& b) { return a.monotonic < b.monotonic; });
  }
  [[nodiscard]] Cell utc(Instant at) const {
    if (anchors_.empty()) return {};
    const auto after = std::upper_bound(anchors_.begin(), anchors_.end(), at,
                                        [](Instant t, const Anchor& anchor) { return t < anchor.monotonic; });
    const Anchor& anchor = after == anchors_.begin() ? *after : *(after - 1);
    return format_utc(anchor.wall_ns + (at - anchor.monotonic).ns);
  }

 private:
  std::vector<Anchor> anchors_;
};

// The blocks of one group, a batch at a time: visiting starts anew for every batch and skips what was had, because a
// Run hands out blocks by call-back only.
class GroupCursor {
 public:
  GroupCursor(const Run& run, const Group& group, std::size_t batch_bytes)
      : run_(run), group_(group), batch_bytes_(batch_bytes) {
    for (const ChannelId id : group.channels) {
      const auto found = std::find_if(run.channels().begin(), run.channels().end(),
                                      [&](const Channel& channel) { return channel.id == id; });
      places_.push_back(static_cast<std::size_t>(found - run.channels().begin()));
    }
  }

  // False at the end.
  [[nodiscard]] Result<bool> ready() {
    while (!blocks_.empty() && tick_ >= blocks_.front().ticks()) {
      blocks_.pop_front();
      tick_ = 0;
    }
    if (blocks_.empty() && !exhausted_)
      if (auto fetched = fetch(); !fetched) return Unexpected<Error>(fetched.error());
    return !blocks_.empty();
  }
  [[nodiscard]] const Group& group() const { return group_; }
  [[nodiscard]] Instant begin() const { return blocks_.front().begin(tick_); }
  [[nodiscard]] Instant end() const { return blocks_.front().end(tick_); }
  [[nodiscard]] Reading reading(std::size_t channel) const { return blocks_.front().reading(channel, tick_); }
  // Of the block's channels, as indices into Run::channels(); an index past its end: a channel that the Run lacks.
  [[nodiscard]] std::size_t channels() const { return std::min(places_.size(), blocks_.front().channels()); }
  [[nodiscard]] std::size_t place(std::size_t channel) const { return places_[channel]; }
  void advance() { ++tick_; }

 private:
  [[nodiscard]] Result<void> fetch() {
    std::size_t index = 0, held = 0;
    bool stopped = false;
    const auto visited = run_.for_each_block(group_.id, [&](const TickBlock& block) {
      if (index++ < had_) return true;
      if (held >= batch_bytes_) {
        stopped = true;
        return false;
      }
      ++had_;
      held += block.capacity() * (16 + 9 * block.channels());
      if (block.ticks() > 0) blocks_.push_back(block);
      return true;
    });
    exhausted_ = !stopped;
    return visited;
  }

  const Run& run_;
  const Group& group_;
  std::size_t batch_bytes_;
  std::vector<std::size_t> places_;
  std::size_t had_ = 0;  // blocks
  bool exhausted_ = false;
  std::deque<TickBlock> blocks_;
  std::size_t tick_ = 0;
};

class SamplesTable final : public Table {
 public:
  SamplesTable(const Run& run, std::size_t batch_bytes) : run_(run), wall_(run.anchors()) {
    columns_ = {{"utc", "begin of the tick by the wall clock, from the Run's anchors"},
                {"begin_ns", "begin of the tick, monotonic clock of the host"},
                {"end_ns", "end of the tick"},
                {"group", "the channels that were read together"},
                {"late", "1: the tick began later than its deadline by more than an interval"}};
    first_channel_ = columns_.size();
    for (const Channel& channel : run.channels()) columns_.push_back(column_of(channel));
    for (const Group& group : run.groups()) cursors_.emplace_back(run, group, batch_bytes);
  }

  const std::vector<Column>& columns() const noexcept override { return columns_; }

  Result<bool> next(std::vector<Cell>& row) override {
    GroupCursor* earliest = nullptr;
    for (GroupCursor& cursor : cursors_) {
      const auto ready = cursor.ready();
      if (!ready) return ready;
      if (*ready && (earliest == nullptr || cursor.begin() < earliest->begin())) earliest = &cursor;
    }
    if (earliest == nullptr) return false;
    row.assign(columns_.size(), Cell{});
    row[0] = wall_.utc(earliest->begin());
    row[1] = earliest->begin().ns;
    row[2] = earliest->end().ns;
    row[3] = earliest->group().name;
    std::int64_t late = 0;
    for (std::size_t c = 0; c < earliest->channels(); ++c) {
      const Reading reading = earliest->reading(c);
      if (reading.quality == Quality::late) late = 1;
      if (const std::size_t place = earliest->place(c); place < run_.channels().size())
        row[first_channel_ + place] = cell_of(run_.channels()[place], reading);
    }
    row[4] = late;
    earliest->advance();
    return true;
  }

 private:
  const Run& run_;
  WallClock wall_;
  std::vector<Column> columns_;
  std::size_t first_channel_ = 0;
  std::vector<GroupCursor> cursors_;
};

}  // namespace

std::unique_ptr<Table> make_samples_table(const Run& run, std::size_t batch_bytes) {
  return std::make_unique<SamplesTable>(run, batch_bytes);
}

}  // namespace prony
