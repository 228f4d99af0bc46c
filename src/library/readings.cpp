#include "library/readings.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>

#include "base/text.hpp"
#include "library/arrow_columns.hpp"

namespace prony::library {

namespace {

std::string_view words_for(Quality quality) {
  return quality == Quality::ok ? "ok" : quality == Quality::late ? "late" : "gap";
}

// A Run hands out blocks by call-back only, so each batch goes on at the time of the last row of the one before.
class Readings {
 public:
  Readings(const Run& run, const Channel& channel, const Group& group, std::size_t column, Interval during,
           std::int64_t batch_rows)
      : run_(run), channel_(channel), group_(group), column_(column), during_(during), batch_rows_(batch_rows) {}

  [[nodiscard]] static std::vector<ArrowColumn> columns() {
    using Type = ArrowColumn::Type;
    std::vector<ArrowColumn> columns;
    columns.emplace_back("begin_ns", "begin of the read, monotonic clock of the host", Type::integers);
    columns.emplace_back("end_ns", "end of the read", Type::integers);
    columns.emplace_back("raw", "as read, counts", Type::integers);
    columns.emplace_back("value", "raw × scale, in the channel's unit", Type::numbers);
    columns.emplace_back("quality", "ok, late or gap", Type::texts);
    return columns;
  }

  // Fills a batch; a released array at the end.
  [[nodiscard]] Result<void> next(ArrowArray& out) {
    out = ArrowArray{};
    if (done_) return {};
    std::vector<ArrowColumn> batch = columns();
    std::int64_t rows = 0;
    std::int64_t had = had_at_from_;  // of the ticks that begin at from_
    bool stopped = false;
    std::optional<Error> trouble;
    const auto visited = run_.for_each_block(
        group_.id,
        [&](const TickBlock& block) {
          for (std::size_t tick = 0; tick < block.ticks(); ++tick) {
            const Instant begin = block.begin(tick);
            if (begin >= during_.end) return false;
            if (begin < from_ || column_ >= block.channels()) continue;
            if (begin == from_ && had > 0) {
              --had;
              continue;
            }
            if (rows == batch_rows_) return !(stopped = true);
            if (auto added = add(batch, block, tick); !added) return trouble = added.error(), false;
            ++rows;
            had_at_last_ = begin == last_ ? had_at_last_ + 1 : 1;
            last_ = begin;
          }
          return true;
        },
        from_);
    if (trouble) return Unexpected<Error>(*trouble);
    if (!visited) return visited;
    done_ = !stopped;
    from_ = last_;
    had_at_from_ = had_at_last_;
    if (rows > 0) hand_over(std::move(batch), rows, out);
    return {};
  }
  std::string words;  // of the last error

 private:
  [[nodiscard]] Result<void> add(std::vector<ArrowColumn>& batch, const TickBlock& block, std::size_t tick) const {
    const Reading reading = block.reading(column_, tick);
    batch[0].integer(block.begin(tick).ns);
    batch[1].integer(block.end(tick).ns);
    if (reading.quality == Quality::gap) {
      batch[2].absent();
      batch[3].absent();
    } else {
      const bool is_unsigned = channel_.kind == ChannelKind::counter && reading.raw < 0;
      const double raw =
          is_unsigned ? static_cast<double>(static_cast<std::uint64_t>(reading.raw)) : static_cast<double>(reading.raw);
      batch[2].integer(reading.raw);
      batch[3].number(raw * channel_.scale);
    }
    return batch[4].text(words_for(reading.quality));
  }

  const Run& run_;
  const Channel& channel_;
  const Group& group_;
  std::size_t column_;
  Interval during_;
  std::int64_t batch_rows_;
  Instant from_ = during_.begin, last_ = during_.begin;  // of the last row
  std::int64_t had_at_from_ = 0, had_at_last_ = 0;       // rows that begin then
  bool done_ = false;
};

Readings& readings_of(ArrowArrayStream* stream) { return *static_cast<Readings*>(stream->private_data); }

int get_schema(ArrowArrayStream* stream, ArrowSchema* out) {
  try {
    describe(Readings::columns(), *out);
    return 0;
  } catch (const std::bad_alloc&) {
    (void)stream;
    return ENOMEM;
  } catch (...) {
    return EIO;
  }
}

int get_next(ArrowArrayStream* stream, ArrowArray* out) {
  Readings& readings = readings_of(stream);
  try {
    const auto filled = readings.next(*out);
    if (filled) return 0;
    readings.words = filled.error().what + (filled.error().where.empty() ? "" : ": " + filled.error().where);
    return EIO;
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  } catch (...) {
    return EIO;
  }
}

const char* get_last_error(ArrowArrayStream* stream) {
  const Readings& readings = readings_of(stream);
  return readings.words.empty() ? nullptr : readings.words.c_str();
}

void release_stream(ArrowArrayStream* stream) {
  delete static_cast<Readings*>(stream->private_data);
  stream->release = nullptr;
}

}  // namespace

Result<void> stream_readings(const Run& run, const std::string& channel, Interval during, ArrowArrayStream& out,
                             std::int64_t batch_rows) {
  const auto found = std::ranges::find(run.channels(), channel, &Channel::name);
  if (found == run.channels().end()) {
    std::vector<std::string> names;
    for (const Channel& known : run.channels()) names.push_back(known.name);
    const auto near = nearest_name(channel, names);
    return fail(ErrorCode::usage, "the Run has no channel '" + printable(channel, 80) + "'", run.path().string(),
                near ? "Did you mean '" + *near + "'?" : "prony_run_channel() tells which it has.");
  }
  for (const Group& group : run.groups()) {
    const auto place = std::ranges::find(group.channels, found->id);
    if (place == group.channels.end()) continue;
    const auto column = static_cast<std::size_t>(place - group.channels.begin());
    out = {get_schema, get_next, get_last_error, release_stream,
           new Readings(run, *found, group, column, during, batch_rows)};
    return {};
  }
  return fail(ErrorCode::malformed, "no group of the Run reads the channel", channel);
}

}  // namespace prony::library
