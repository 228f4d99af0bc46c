// The passport table of a Run, written and read back row by row.
#include <algorithm>

#include "base/text.hpp"
#include "store/records.hpp"

namespace prony {
namespace {

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

std::string lines_of(const std::vector<std::string>& notes) {
  std::string lines;
  for (const auto& note : notes) lines += (lines.empty() ? "" : "\n") + one_line(note);
  return lines;
}

// "update_period: polled too slowly", a line each: readable in any SQLite browser.
std::string lines_of(const std::vector<Unavailable>& absent) {
  std::string lines;
  for (const auto& entry : absent) lines += (lines.empty() ? "" : "\n") + entry.subject + ": " + one_line(entry.reason);
  return lines;
}

std::optional<std::int64_t> ns_of(const std::optional<Duration>& duration) {
  return duration ? std::optional(duration->ns) : std::nullopt;
}

std::optional<Duration> duration_of(const Statement& row, int column) {
  return row.is_null(column) ? std::nullopt : std::optional(Duration{row.integer(column)});
}

std::optional<double> real_of(const Statement& row, int column) {
  return row.is_null(column) ? std::nullopt : std::optional(row.real(column));
}

ChannelPassport passport_from(const Statement& row) {
  ChannelPassport passport;
  passport.channel = row.text(0);
  passport.unit = row.text(1);
  passport.version = static_cast<int>(row.integer(2));
  passport.learned_utc = row.text(3);
  passport.learned_by = row.text(4);
  passport.watched.ns = row.integer(5);
  passport.reads = static_cast<std::uint64_t>(row.integer(6));
  passport.gaps = static_cast<std::uint64_t>(row.integer(7));
  passport.transitions = static_cast<std::uint64_t>(row.integer(8));
  passport.poll = duration_of(row, 9);
  passport.update_period = duration_of(row, 10);
  passport.period_spread = duration_of(row, 11);
  passport.faster_than = duration_of(row, 12);
  if (!row.is_null(13)) passport.phase = Instant{row.integer(13)};
  passport.phase_doubt = duration_of(row, 14);
  passport.jitter = duration_of(row, 15);
  passport.averaging_window = duration_of(row, 16);
  passport.averaging_how = row.text(17);
  passport.step = real_of(row, 18);
  passport.noise_rms = real_of(row, 19);
  passport.read_cost = duration_of(row, 20);
  passport.worst_latency = duration_of(row, 21);
  passport.slows_others = duration_of(row, 22);
  passport.duplicate_of = row.text(23);
  passport.contained_in = row.text(24);
  for_each_line(row.text(25), [&](std::string_view line) { passport.notes.emplace_back(line); });
  for_each_line(row.text(26), [&](std::string_view line) {
    const auto colon = line.find(": ");
    if (colon != std::string_view::npos)
      passport.absent.push_back({std::string(line.substr(0, colon)), std::string(line.substr(colon + 2)), {}});
  });
  return passport;
}

}  // namespace

Result<void> put_passport(Database& database, const ChannelPassport& p) {
  const auto statement = database.kept(
      "INSERT OR REPLACE INTO passport SELECT id, COALESCE(NULLIF(?, ''), unit), "
      "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,? FROM channel "
      "WHERE name = ?");
  if (!statement) return Unexpected<Error>(statement.error());
  return (*statement)
      ->run(p.unit, p.version, p.learned_utc, p.learned_by, p.watched.ns, p.reads, p.gaps, p.transitions, ns_of(p.poll),
            ns_of(p.update_period), ns_of(p.period_spread), ns_of(p.faster_than),
            p.phase ? std::optional(p.phase->ns) : std::nullopt, ns_of(p.phase_doubt), ns_of(p.jitter),
            ns_of(p.averaging_window), p.averaging_how, p.step, p.noise_rms, ns_of(p.read_cost), ns_of(p.worst_latency),
            ns_of(p.slows_others), p.duplicate_of, p.contained_in, lines_of(p.notes), lines_of(p.absent), p.channel);
}

Result<std::vector<ChannelPassport>> load_passports(Database& database) {
  auto rows = database.prepare(
      "SELECT c.name, p.unit, p.version, p.learned_utc, p.learned_by, p.watched_ns, p.reads, p.gaps, p.transitions, "
      "p.poll_ns, p.update_period_ns, p.period_spread_ns, p.faster_than_ns, p.phase_ns, p.phase_doubt_ns, p.jitter_ns, "
      "p.averaging_window_ns, p.averaging_how, p.step, p.noise_rms, p.read_cost_ns, p.worst_latency_ns, "
      "p.slows_others_ns, p.duplicate_of, p.contained_in, p.notes, p.absent "
      "FROM passport p JOIN channel c ON c.id = p.channel_id ORDER BY c.id");
  if (!rows) return Unexpected<Error>(rows.error());
  std::vector<ChannelPassport> passports;
  for (;;) {
    const auto more = rows->step();
    if (!more) return Unexpected<Error>(more.error());
    if (!*more) return passports;
    passports.push_back(passport_from(*rows));
  }
}

}  // namespace prony
