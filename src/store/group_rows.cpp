#include "store/group_rows.hpp"

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "store/chunk_codec.hpp"
#include "store/chunk_length.hpp"

namespace prony {
namespace {

constexpr std::size_t longest_chunk_ticks = 8192;
constexpr std::size_t long_chunk_readings = std::size_t{1} << 18;
constexpr std::size_t row_block_ticks = 512;

std::size_t chunk_capacity(std::size_t channels) noexcept {
  return std::clamp<std::size_t>(long_chunk_readings / (channels + 2), 16, longest_chunk_ticks);
}

constexpr std::string_view word_of(Quality quality) noexcept {
  switch (quality) {
    case Quality::ok: return "ok";
    case Quality::late: return "late";
    case Quality::gap: break;
  }
  return "gap";
}
Quality quality_from(std::string_view word) noexcept {
  return word == "ok" ? Quality::ok : word == "late" ? Quality::late : Quality::gap;
}

}  // namespace

Result<GroupWriter> GroupWriter::prepare(Database& database, const Group& group) {
  GroupWriter writer;
  writer.group_ = group;
  const auto slow = is_slow(group);
  auto insert = database.prepare(
      slow ? "INSERT INTO sample (group_id, tick, channel_id, begin_ns, end_ns, raw, quality) VALUES (?,?,?,?,?,?,?)"
           : "INSERT INTO chunk (group_id, first_tick, ticks, first_ns, last_ns, codec, data) VALUES "
             "(?,?,?,?,?,'zstd-1',?)");
  if (!insert) return Unexpected<Error>(insert.error());
  auto forget = database.prepare("DELETE FROM chunk WHERE group_id = ? AND first_tick >= ?");
  if (!forget) return Unexpected<Error>(forget.error());
  writer.insert_ = std::move(*insert);
  writer.forget_ = std::move(*forget);
  writer.readings_.resize(group.channels.size());
  if (!slow) writer.pending_ = TickBlock(group.id, group.channels.size(), chunk_capacity(group.channels.size()));
  writer.latest_.ns = INT64_MIN;
  return writer;
}

Result<void> GroupWriter::append(const TickBlock& block) {
  if (block.channels() != group_.channels.size())
    return fail(ErrorCode::usage,
                "a block of " + std::to_string(block.channels()) + " channels for a group of " +
                    std::to_string(group_.channels.size()),
                group_.name);
  for (std::size_t t = 0; t < block.ticks(); ++t) {
    const auto before = t == 0 ? latest_ : block.begin(t - 1);
    if (block.begin(t) < before) return fail(ErrorCode::usage, "ticks out of time order", group_.name);
  }
  if (block.ticks() == 0) return {};
  if (is_slow(group_)) {
    auto done = write_rows(block);
    if (done) latest_ = block.begin(block.ticks() - 1);
    return done;
  }
  for (std::size_t t = 0; t < block.ticks(); ++t) {
    if (pending_.full() || (pending_.ticks() > 0 && block.begin(t) - pending_.begin(0) > longest_chunk))
      if (auto done = compact(); !done) return done;
    for (std::size_t c = 0; c < block.channels(); ++c) readings_[c] = block.reading(c, t);
    pending_.push(block.begin(t), block.end(t), readings_);
    latest_ = block.begin(t);
  }
  return {};
}

Result<void> GroupWriter::write_rows(const TickBlock& block) {
  for (std::size_t t = 0; t < block.ticks(); ++t, ++first_tick_)
    for (std::size_t c = 0; c < block.channels(); ++c) {
      const auto reading = block.reading(c, t);
      const auto raw = reading.quality == Quality::gap ? std::nullopt : std::optional(reading.raw);
      if (auto done = insert_.run(group_.id.value, first_tick_, group_.channels[c].value, block.begin(t).ns,
                                  block.end(t).ns, raw, word_of(reading.quality));
          !done)
        return done;
      bytes_ += sizeof(std::int64_t);
    }
  return {};
}

Result<void> GroupWriter::write_chunk(std::size_t first, std::size_t ticks) {
  const auto bytes = encode_chunk(pending_, first, ticks);
  if (!bytes) return Unexpected<Error>(bytes.error());
  bytes_ += bytes->size();
  return insert_.run(group_.id.value, first_tick_ + static_cast<std::int64_t>(first), ticks, pending_.begin(first).ns,
                     pending_.begin(first + ticks - 1).ns, std::span<const std::byte>(*bytes));
}

Result<void> GroupWriter::write_tail() {
  if (is_slow(group_) || pending_.ticks() == tailed_) return {};
  if (auto done = write_chunk(tailed_, pending_.ticks() - tailed_); !done) return done;
  tailed_ = pending_.ticks();
  ++tails_;
  return {};
}

Result<void> GroupWriter::compact() {
  if (is_slow(group_) || pending_.ticks() == 0) return {};
  if (tails_ != 1 || tailed_ != pending_.ticks()) {
    if (tails_ != 0)
      if (auto done = forget_.run(group_.id.value, first_tick_); !done) return done;
    if (auto done = write_chunk(0, pending_.ticks()); !done) return done;
  }
  first_tick_ += static_cast<std::int64_t>(pending_.ticks());
  pending_.clear();
  tailed_ = tails_ = 0;
  return {};
}

namespace {

using Visit = std::function<bool(const TickBlock&)>;

TickBlock gap_block(const Group& group, Instant first, Instant last) {
  TickBlock block(group.id, group.channels.size(), 2);
  const std::vector<Reading> gaps(group.channels.size());
  block.push(first, first, gaps);
  if (last > first) block.push(last, last, gaps);
  return block;
}

TickBlock cut_after(const TickBlock& block, Instant until) {
  TickBlock shorter(block.group(), block.channels(), block.ticks());
  std::vector<Reading> readings(block.channels());
  for (std::size_t t = 0; t < block.ticks() && block.begin(t) <= until; ++t) {
    for (std::size_t c = 0; c < block.channels(); ++c) readings[c] = block.reading(c, t);
    shorter.push(block.begin(t), block.end(t), readings);
  }
  return shorter;
}

Result<TickBlock> chunk_in(const Statement& row, const Group& group) {
  const auto codec = row.text(4);
  if (codec != "zstd-1") return fail(ErrorCode::malformed, "unknown codec \"" + codec + "\"");
  auto block = decode_chunk(row.blob(5));
  if (!block) return block;
  if (block->group() != group.id || block->channels() != group.channels.size() ||
      static_cast<std::int64_t>(block->ticks()) != row.integer(1) || block->begin(0).ns != row.integer(2) ||
      block->begin(block->ticks() - 1).ns != row.integer(3))
    return fail(ErrorCode::malformed, "its content is not what its row says");
  return block;
}

Result<void> read_chunks(Database& database, const Group& group, Instant from, std::optional<Instant> until,
                         const Visit& visit, const std::string& where) {
  auto rows = database.prepare(
      "SELECT first_tick, ticks, first_ns, last_ns, codec, data FROM chunk WHERE group_id = ? AND last_ns >= ? "
      "ORDER BY first_tick");
  if (!rows) return Unexpected<Error>(rows.error());
  rows->bind_all(group.id.value, from.ns);
  std::string first_damage;
  std::size_t damaged = 0;
  for (auto row = rows->step();; row = rows->step()) {
    if (!row) return Unexpected<Error>(row.error());
    if (!*row) break;
    if (until && rows->integer(2) > until->ns) break;
    const auto block = chunk_in(*rows, group);
    if (!block) {
      if (++damaged == 1)
        first_damage = "chunk of ticks " + std::to_string(rows->integer(0)) + " to " +
                       std::to_string(rows->integer(0) + rows->integer(1) - 1) + " of group \"" + group.name +
                       "\": " + block.error().what;
      if (!visit(gap_block(group, {rows->integer(2)}, {rows->integer(3)}))) break;
    } else if (until && rows->integer(3) > until->ns) {
      (void)visit(cut_after(*block, *until));
      break;
    } else if (!visit(*block)) {
      break;
    }
  }
  if (damaged == 0) return {};
  if (damaged > 1) first_damage += " (and " + std::to_string(damaged - 1) + " more)";
  return fail(ErrorCode::malformed, std::move(first_damage), where,
              "the rest of the Run was read; its time there is a gap");
}

Result<void> read_rows(Database& database, const Group& group, Instant from, std::optional<Instant> until,
                       const Visit& visit) {
  auto rows = database.prepare(
      "SELECT tick, channel_id, begin_ns, end_ns, raw, quality FROM sample WHERE group_id = ? AND begin_ns >= ? "
      "ORDER BY tick");
  if (!rows) return Unexpected<Error>(rows.error());
  rows->bind_all(group.id.value, from.ns);
  std::unordered_map<std::uint32_t, std::size_t> places;
  for (std::size_t c = 0; c < group.channels.size(); ++c) places.emplace(group.channels[c].value, c);
  TickBlock block(group.id, group.channels.size(), row_block_ticks);
  std::vector<Reading> readings(group.channels.size());
  std::optional<std::int64_t> tick;
  Interval stamps;
  // true: go on
  const auto close_tick = [&] {
    if (!tick) return true;
    block.push(stamps.begin, stamps.end, readings);
    std::fill(readings.begin(), readings.end(), Reading{});
    if (!block.full()) return true;
    const auto more = visit(block);
    block.clear();
    return more;
  };
  for (auto row = rows->step();; row = rows->step()) {
    if (!row) return Unexpected<Error>(row.error());
    if (!*row || (until && rows->integer(2) > until->ns)) break;
    if (tick != rows->integer(0)) {
      if (!close_tick()) return {};
      tick = rows->integer(0);
      stamps = {{rows->integer(2)}, {rows->integer(3)}};
    }
    const auto place = places.find(static_cast<std::uint32_t>(rows->integer(1)));
    const auto quality = rows->is_null(4) ? Quality::gap : quality_from(rows->text(5));
    if (place != places.end()) readings[place->second] = {quality == Quality::gap ? 0 : rows->integer(4), quality};
  }
  if (close_tick() && block.ticks() > 0) (void)visit(block);
  return {};
}

}  // namespace

Result<void> read_group(Database& database, const Group& group, Instant from, std::optional<Instant> until,
                        const Visit& visit, const std::string& where) {
  return is_slow(group) ? read_rows(database, group, from, until, visit)
                        : read_chunks(database, group, from, until, visit, where);
}

}  // namespace prony
