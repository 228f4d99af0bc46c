#include "store/look_rows.hpp"

#include <algorithm>
#include <span>

#include "store/chunk_length.hpp"
#include "store/look_codec.hpp"

namespace prony {
namespace {

constexpr std::size_t longest_chunk_looks = 8192;
constexpr std::size_t long_chunk_uses = std::size_t{1} << 18;
constexpr std::int64_t time_unit_ns = 1000;

// Nanoseconds of a busy process are noise that no compression can take away; who ran at all keeps a microsecond.
std::int64_t to_microseconds(std::int64_t ns) noexcept {
  if (ns <= 0) return ns;
  const std::int64_t units = ns / time_unit_ns + (ns % time_unit_ns >= time_unit_ns / 2 ? 1 : 0);
  return std::max<std::int64_t>(1, std::min(units, INT64_MAX / time_unit_ns)) * time_unit_ns;
}

}  // namespace

Result<LookWriter> LookWriter::prepare(Database& database) {
  LookWriter writer;
  auto insert = database.prepare(
      "INSERT INTO look_chunk (first_look, looks, first_ns, last_ns, codec, data) VALUES (?,?,?,?,'looks-1',?)");
  if (!insert) return Unexpected<Error>(insert.error());
  auto forget = database.prepare("DELETE FROM look_chunk WHERE first_look >= ?");
  if (!forget) return Unexpected<Error>(forget.error());
  writer.insert_ = std::move(*insert);
  writer.forget_ = std::move(*forget);
  return writer;
}

Result<void> LookWriter::append(const ProcessLook& look) {
  if (look.between.end < look.between.begin || (latest_ && look.between.begin < *latest_))
    return fail(ErrorCode::usage, "looks at processes out of time order", "look");
  for (std::size_t i = 1; i < look.uses.size(); ++i)
    if (look.uses[i].process <= look.uses[i - 1].process)
      return fail(ErrorCode::usage, "the uses of a look do not ascend by process", "look");
  const bool full = pending_.size() >= longest_chunk_looks || uses_ + look.uses.size() > long_chunk_uses ||
                    (!pending_.empty() && look.between.end - pending_.front().between.begin > longest_chunk);
  if (full)
    if (auto done = compact(); !done) return done;
  latest_ = look.between.end;
  uses_ += look.uses.size();
  pending_.push_back(look);
  for (ProcessUse& use : pending_.back().uses) use.cpu_ns = to_microseconds(use.cpu_ns);
  pending_.back().ended_unseen_ns = to_microseconds(look.ended_unseen_ns);
  return {};
}

Result<void> LookWriter::write_chunk(std::size_t first) {
  const auto looks = std::span<const ProcessLook>(pending_).subspan(first);
  const auto bytes = encode_looks(looks);
  if (!bytes) return Unexpected<Error>(bytes.error());
  return insert_.run(first_look_ + static_cast<std::int64_t>(first), looks.size(), looks.front().between.begin.ns,
                     looks.back().between.end.ns, std::span<const std::byte>(*bytes));
}

Result<void> LookWriter::write_tail() {
  if (pending_.size() == tailed_) return {};
  if (auto done = write_chunk(tailed_); !done) return done;
  tailed_ = pending_.size();
  ++tails_;
  return {};
}

Result<void> LookWriter::compact() {
  if (pending_.empty()) return {};
  if (tails_ != 1 || tailed_ != pending_.size()) {
    if (tails_ != 0)
      if (auto done = forget_.run(first_look_); !done) return done;
    if (auto done = write_chunk(0); !done) return done;
  }
  first_look_ += static_cast<std::int64_t>(pending_.size());
  pending_.clear();
  tailed_ = tails_ = uses_ = 0;
  return {};
}

namespace {

Result<std::vector<ProcessLook>> looks_in(const Statement& row) {
  if (row.text(4) != "looks-1") return fail(ErrorCode::malformed, "unknown codec \"" + row.text(4) + "\"");
  auto looks = decode_looks(row.blob(5));
  if (!looks) return looks;
  bool ordered = true;
  Instant last = looks->front().between.begin;
  for (const ProcessLook& look : *looks) {
    ordered = ordered && last <= look.between.begin && look.between.begin <= look.between.end;
    last = look.between.end;
  }
  if (!ordered || static_cast<std::int64_t>(looks->size()) != row.integer(1) ||
      looks->front().between.begin.ns != row.integer(2) || last.ns != row.integer(3))
    return fail(ErrorCode::malformed, "its content is not what its row says");
  return looks;
}

}  // namespace

Result<void> read_looks(Database& database, std::optional<Instant> until,
                        const std::function<bool(const ProcessLook&)>& visit, const std::string& where) {
  auto rows =
      database.prepare("SELECT first_look, looks, first_ns, last_ns, codec, data FROM look_chunk ORDER BY first_look");
  if (!rows) return Unexpected<Error>(rows.error());
  std::string first_damage;
  std::size_t damaged = 0;
  std::optional<Instant> last;
  bool more = true;
  for (auto row = rows->step(); more; row = rows->step()) {
    if (!row) return Unexpected<Error>(row.error());
    if (!*row) break;
    auto looks = looks_in(*rows);
    if (looks && last && looks->front().between.begin < *last)
      looks = fail(ErrorCode::malformed, "it begins before the one before it ends");
    if (!looks) {
      if (++damaged == 1)
        first_damage =
            "looks at processes from number " + std::to_string(rows->integer(0)) + " on: " + looks.error().what;
      continue;
    }
    for (const ProcessLook& look : *looks) {
      more = !(until && look.between.end > *until) && visit(look);
      if (!more) break;
    }
    last = looks->back().between.end;
  }
  if (damaged == 0) return {};
  if (damaged > 1) first_damage += " (and " + std::to_string(damaged - 1) + " chunks more)";
  return fail(ErrorCode::malformed, std::move(first_damage), where,
              "the rest of the Run was read; what single processes used in that time is not known");
}

Result<std::optional<Instant>> end_of_looks(Database& database) {
  const auto end = database.integer("SELECT last_ns FROM look_chunk ORDER BY first_look DESC LIMIT 1");
  if (!end) return Unexpected<Error>(end.error());
  return *end ? std::optional(Instant{**end}) : std::nullopt;
}

}  // namespace prony
