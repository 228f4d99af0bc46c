#include "store/records.hpp"

#include <functional>
#include <optional>
#include <unordered_set>

namespace prony {
namespace {

// The statement is kept: to prepare one costs more than the row it writes.
template <class... Values>
Result<void> put_row(Database& database, std::string_view sql, const Values&... values) {
  const auto statement = database.kept(sql);
  if (!statement) return Unexpected<Error>(statement.error());
  return (*statement)->run(values...);
}

Result<void> for_rows(Database& database, std::string_view sql, const std::function<Result<void>(Statement&)>& row) {
  auto statement = database.prepare(sql);
  if (!statement) return Unexpected<Error>(statement.error());
  for (;;) {
    const auto more = statement->step();
    if (!more) return Unexpected<Error>(more.error());
    if (!*more) return {};
    if (auto done = row(*statement); !done) return done;
  }
}

}  // namespace

Result<void> put_meta(Database& database, const std::string& key, const std::string& value) {
  return put_row(database, "INSERT OR REPLACE INTO meta (key, value) VALUES (?,?)", key, value);
}

Result<void> put_fact(Database& database, const Fact& fact) {
  return put_row(database,
                 "INSERT INTO fact (key, value, origin) VALUES (?,?,?) ON CONFLICT (key) DO UPDATE SET "
                 "value = excluded.value, origin = excluded.origin",
                 fact.key, fact.value, fact.origin);
}

Result<void> put_manifest(Database& database, const Manifest& manifest) {
  for (const auto& fact : manifest.facts)
    if (auto done = put_fact(database, fact); !done) return done;
  for (const auto& unavailable : manifest.unavailable)
    if (auto done = put_unavailable(database, unavailable); !done) return done;
  return {};
}

Result<void> put_unavailable(Database& database, const Unavailable& unavailable) {
  return put_row(database, "INSERT INTO unavailable (subject, reason, remedy) VALUES (?,?,?)", unavailable.subject,
                 unavailable.reason, unavailable.remedy);
}

Result<void> put_channels(Database& database, std::span<const Channel> channels) {
  for (const auto& channel : channels) {
    const auto model = channel.model;
    const auto watts = [&](Watts PowerModel::* figure) {
      return model ? std::optional((*model.*figure).value()) : std::nullopt;
    };
    const auto learned = channel.learned_period;
    const auto part_of = channel.part_of ? std::optional(channel.part_of->value) : std::nullopt;
    auto done = put_row(
        database, "INSERT INTO channel VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        channel.id.value, channel.name, channel.sensor, channel.device, channel.domain, to_string(channel.measure),
        unit_of(channel.measure), to_string(channel.kind), to_string(channel.origin), to_string(channel.scope),
        channel.scale, channel.range, channel.max_rate, channel.update_period.ns, channel.resolution, part_of,
        channel.coverage_known ? 1 : 0, model ? std::optional(model->name) : std::nullopt,
        model ? std::optional(model->source) : std::nullopt, model ? std::optional(model->cpus) : std::nullopt,
        watts(&PowerModel::idle), watts(&PowerModel::idle_low), watts(&PowerModel::idle_high), watts(&PowerModel::full),
        watts(&PowerModel::full_low), watts(&PowerModel::full_high), channel.averaging_window.ns,
        model ? model->reference_clock_hz : std::nullopt, model ? model->highest_clock_hz : std::nullopt,
        model ? std::optional(model->clock_floor) : std::nullopt,
        model ? std::optional(model->clock_limit) : std::nullopt,
        learned ? std::optional(learned->mean_ns) : std::nullopt,
        learned ? std::optional(learned->sigma_ns) : std::nullopt,
        learned ? std::optional(learned->jitter_ns) : std::nullopt, channel.target);
    if (!done) return done;
  }
  return {};
}

Result<void> put_groups(Database& database, std::span<const Group> groups) {
  for (const auto& group : groups) {
    const std::string storage = group.interval >= milliseconds(500) ? "sample" : "chunk";
    if (auto done = put_row(database, "INSERT INTO tick_group VALUES (?,?,?,?)", group.id.value, group.name,
                            group.interval.ns, storage);
        !done)
      return done;
    for (std::size_t c = 0; c < group.channels.size(); ++c)
      if (auto done = put_row(database, "INSERT INTO tick_group_channel VALUES (?,?,?)", group.id.value, c,
                              group.channels[c].value);
          !done)
        return done;
  }
  return {};
}

Result<void> put_anchor(Database& database, const Anchor& anchor) {
  return put_row(database, "INSERT INTO anchor VALUES (?,?,?)", anchor.monotonic.ns, anchor.wall_ns, anchor.width.ns);
}

Result<void> put_event(Database& database, const Event& event) {
  return put_row(database, "INSERT INTO event VALUES (?,?,?,?)", event.at.ns, event.kind, event.subject, event.text);
}

// The key of a process whose start is not known: below 0, and another for each, for numbers are given away again.
std::int64_t start_key(const ProcessRecord& process) {
  return process.start_ticks ? static_cast<std::int64_t>(*process.start_ticks)
                             : -1 - static_cast<std::int64_t>(process.number);
}

// 0 is the start of the kernel's own first processes alone; earlier versions wrote it where they knew none.
std::optional<std::uint64_t> start_of_key(std::int64_t pid, std::int64_t key) {
  if (key < 0 || (key == 0 && pid > 2)) return std::nullopt;
  return static_cast<std::uint64_t>(key);
}

Result<void> put_process(Database& database, const ProcessRecord& process) {
  // Who is told of again by somebody who does not know its number or target keeps them.
  return put_row(database,
                 "INSERT INTO process VALUES (?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (pid, start_ticks) DO UPDATE SET "
                 "parent = excluded.parent, name = excluded.name, begin_ns = min(begin_ns, excluded.begin_ns), "
                 "end_ns = max(end_ns, excluded.end_ns), cpu_user_ns = excluded.cpu_user_ns, "
                 "cpu_system_ns = excluded.cpu_system_ns, exited = max(exited, excluded.exited), "
                 "number = max(number, excluded.number), "
                 "target = CASE excluded.target WHEN '' THEN target ELSE excluded.target END",
                 process.pid, start_key(process), process.parent, process.name, process.seen.begin.ns,
                 process.seen.end.ns, process.cpu_user_ns, process.cpu_system_ns, process.exited ? 1 : 0,
                 process.number, process.target);
}

Result<void> put_target(Database& database, std::size_t position, const Target& target) {
  return put_row(database, "INSERT INTO target VALUES (?,?,?)", position, target.name, target.selector);
}

Result<void> put_total(Database& database, const Total& total) {
  return put_row(database,
                 "INSERT INTO total VALUES (?,?,?,?) ON CONFLICT (subject, name) DO UPDATE SET "
                 "value = excluded.value, method = excluded.method",
                 total.subject, total.name, total.value, total.method);
}

namespace {

Unexpected<Error> senseless(const std::string& what, const std::string& where) {
  return fail(ErrorCode::malformed, what, where, "the file is damaged");
}

Result<Channel> channel_from(const Statement& row, const std::string& where) {
  Channel channel;
  channel.id = {static_cast<std::uint32_t>(row.integer(0))};
  channel.name = row.text(1);
  channel.sensor = row.text(2);
  channel.device = row.text(3);
  channel.domain = row.text(4);
  const auto measure = measure_from(row.text(5));
  const auto kind = channel_kind_from(row.text(6));
  const auto origin = origin_from(row.text(7));
  const auto scope = scope_from(row.text(8));
  if (!measure || !kind || !origin || !scope)
    return senseless("channel \"" + channel.name + "\" has an unknown measure, kind, origin or scope", where);
  channel.measure = *measure;
  channel.kind = *kind;
  channel.origin = *origin;
  channel.scope = *scope;
  channel.scale = row.real(9);
  channel.range = static_cast<std::uint64_t>(row.integer(10));
  channel.max_rate = row.real(11);
  channel.update_period.ns = row.integer(12);
  channel.resolution = row.real(13);
  if (!row.is_null(14)) channel.part_of = ChannelId{static_cast<std::uint32_t>(row.integer(14))};
  channel.coverage_known = row.integer(15) != 0;
  if (!row.is_null(16)) {
    PowerModel model;
    model.name = row.text(16);
    model.source = row.text(17);
    model.cpus = row.real(18);
    model.idle = Watts(row.real(19));
    model.idle_low = Watts(row.real(20));
    model.idle_high = Watts(row.real(21));
    model.full = Watts(row.real(22));
    model.full_low = Watts(row.real(23));
    model.full_high = Watts(row.real(24));
    if (!row.is_null(26)) model.reference_clock_hz = row.real(26);
    if (!row.is_null(27)) model.highest_clock_hz = row.real(27);
    if (!row.is_null(28)) model.clock_floor = row.real(28);
    if (!row.is_null(29)) model.clock_limit = row.real(29);
    channel.model = std::move(model);
  }
  channel.averaging_window.ns = row.integer(25);
  if (!row.is_null(30)) channel.learned_period = LearnedPeriod{row.real(30), row.real(31), row.real(32)};
  channel.target = row.text(33);
  return channel;
}

Result<void> load_channels(Database& database, Records& records, const std::string& where) {
  return for_rows(database,
                  "SELECT id, name, sensor, device, domain, measure, kind, origin, scope, scale, range, max_rate, "
                  "update_period_ns, resolution, part_of, coverage_known, model_name, model_source, model_cpus, "
                  "model_idle_w, model_idle_low_w, model_idle_high_w, model_full_w, model_full_low_w, "
                  "model_full_high_w, averaging_window_ns, model_reference_clock_hz, model_highest_clock_hz, "
                  "model_clock_floor, model_clock_limit, learned_period_ns, learned_period_sigma_ns, "
                  "learned_period_jitter_ns, target FROM channel ORDER BY id",
                  [&](Statement& row) -> Result<void> {
                    auto channel = channel_from(row, where);
                    if (!channel) return Unexpected<Error>(channel.error());
                    records.channels.push_back(std::move(*channel));
                    return {};
                  });
}

Result<void> load_groups(Database& database, Records& records, const std::string& where) {
  std::unordered_set<std::uint32_t> known;
  for (const auto& channel : records.channels) known.insert(channel.id.value);
  auto done = for_rows(
      database, "SELECT id, name, interval_ns FROM tick_group ORDER BY id", [&](Statement& row) -> Result<void> {
        records.groups.push_back({{static_cast<std::uint32_t>(row.integer(0))}, row.text(1), {row.integer(2)}, {}});
        return {};
      });
  if (!done) return done;
  return for_rows(database, "SELECT group_id, channel_id FROM tick_group_channel ORDER BY group_id, position",
                  [&](Statement& row) -> Result<void> {
                    const GroupId id{static_cast<std::uint32_t>(row.integer(0))};
                    const ChannelId channel{static_cast<std::uint32_t>(row.integer(1))};
                    for (auto& group : records.groups)
                      if (group.id == id && known.contains(channel.value)) {
                        group.channels.push_back(channel);
                        return {};
                      }
                    return senseless("a group names a channel that is not there", where);
                  });
}

Result<void> load_small_tables(Database& database, Records& records) {
  auto& [facts, unavailable] = records.manifest;
  auto done = for_rows(database, "SELECT key, value, origin FROM fact ORDER BY rowid", [&](Statement& row) {
    facts.push_back({row.text(0), row.text(1), row.text(2)});
    return Result<void>{};
  });
  if (!done) return done;
  done = for_rows(database, "SELECT subject, reason, remedy FROM unavailable ORDER BY rowid", [&](Statement& row) {
    unavailable.push_back({row.text(0), row.text(1), row.text(2)});
    return Result<void>{};
  });
  if (!done) return done;
  done = for_rows(database, "SELECT monotonic_ns, wall_ns, width_ns FROM anchor ORDER BY rowid", [&](Statement& row) {
    records.anchors.push_back({{row.integer(0)}, row.integer(1), {row.integer(2)}});
    return Result<void>{};
  });
  if (!done) return done;
  done = for_rows(database, "SELECT at_ns, kind, subject, text FROM event ORDER BY at_ns, rowid", [&](Statement& row) {
    records.events.push_back({{row.integer(0)}, row.text(1), row.text(2), row.text(3)});
    return Result<void>{};
  });
  if (!done) return done;
  done =
      for_rows(database,
               "SELECT pid, start_ticks, parent, name, begin_ns, end_ns, cpu_user_ns, cpu_system_ns, exited, number, "
               "target FROM process ORDER BY begin_ns, pid, start_ticks",
               [&](Statement& row) {
                 records.processes.push_back({row.integer(0),
                                              start_of_key(row.integer(0), row.integer(1)),
                                              row.integer(2),
                                              row.text(3),
                                              {{row.integer(4)}, {row.integer(5)}},
                                              row.integer(6),
                                              row.integer(7),
                                              row.integer(8) != 0,
                                              static_cast<std::uint32_t>(row.integer(9)),
                                              row.text(10)});
                 return Result<void>{};
               });
  if (!done) return done;
  done = for_rows(database, "SELECT name, selector FROM target ORDER BY position", [&](Statement& row) {
    records.targets.push_back({row.text(0), row.text(1)});
    return Result<void>{};
  });
  if (!done) return done;
  return for_rows(database, "SELECT subject, name, value, method FROM total ORDER BY rowid", [&](Statement& row) {
    records.totals.push_back({row.text(0), row.text(1), row.real(2), row.text(3)});
    return Result<void>{};
  });
}

}  // namespace

Result<Records> load_records(Database& database, const std::string& where) {
  Records records;
  if (auto done = load_channels(database, records, where); !done) return Unexpected<Error>(done.error());
  if (auto done = load_groups(database, records, where); !done) return Unexpected<Error>(done.error());
  if (auto done = load_small_tables(database, records); !done) return Unexpected<Error>(done.error());
  auto passports = load_passports(database);
  if (!passports) return Unexpected<Error>(passports.error());
  records.passports = std::move(*passports);
  return records;
}

}  // namespace prony
