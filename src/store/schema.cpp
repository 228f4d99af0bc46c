#include "store/schema.hpp"

#include <array>
#include <string>

#include "model/manifest.hpp"

namespace prony {
namespace {

constexpr const char* tables = R"sql(
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE fact (key TEXT NOT NULL UNIQUE, value TEXT NOT NULL, origin TEXT NOT NULL);
CREATE TABLE unavailable (subject TEXT NOT NULL, reason TEXT NOT NULL, remedy TEXT NOT NULL);
CREATE TABLE channel (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, sensor TEXT NOT NULL, device TEXT NOT NULL, domain TEXT NOT NULL,
  measure TEXT NOT NULL, unit TEXT NOT NULL, kind TEXT NOT NULL, origin TEXT NOT NULL, scope TEXT NOT NULL,
  scale REAL NOT NULL, range INTEGER NOT NULL, max_rate REAL NOT NULL, update_period_ns INTEGER NOT NULL,
  resolution REAL NOT NULL, part_of INTEGER REFERENCES channel(id), coverage_known INTEGER NOT NULL,
  model_name TEXT, model_source TEXT, model_cpus REAL, model_idle_w REAL, model_idle_low_w REAL, model_idle_high_w REAL,
  model_full_w REAL, model_full_low_w REAL, model_full_high_w REAL, averaging_window_ns INTEGER NOT NULL,
  model_reference_clock_hz REAL, model_highest_clock_hz REAL, model_clock_floor REAL, model_clock_limit REAL,
  learned_period_ns REAL, learned_period_sigma_ns REAL, learned_period_jitter_ns REAL, target TEXT NOT NULL);
CREATE TABLE passport (
  channel_id INTEGER PRIMARY KEY REFERENCES channel(id), unit TEXT NOT NULL, version INTEGER NOT NULL,
  learned_utc TEXT NOT NULL, learned_by TEXT NOT NULL, watched_ns INTEGER NOT NULL, reads INTEGER NOT NULL,
  gaps INTEGER NOT NULL, transitions INTEGER NOT NULL, poll_ns INTEGER, update_period_ns INTEGER,
  period_spread_ns INTEGER, faster_than_ns INTEGER, phase_ns INTEGER, phase_doubt_ns INTEGER, jitter_ns INTEGER,
  averaging_window_ns INTEGER, averaging_how TEXT NOT NULL, step REAL, noise_rms REAL, read_cost_ns INTEGER,
  worst_latency_ns INTEGER, slows_others_ns INTEGER, duplicate_of TEXT NOT NULL, contained_in TEXT NOT NULL,
  notes TEXT NOT NULL, absent TEXT NOT NULL);
CREATE TABLE tick_group (id INTEGER PRIMARY KEY, name TEXT NOT NULL, interval_ns INTEGER NOT NULL, storage TEXT NOT NULL);
CREATE TABLE tick_group_channel (
  group_id INTEGER NOT NULL REFERENCES tick_group(id), position INTEGER NOT NULL,
  channel_id INTEGER NOT NULL REFERENCES channel(id), PRIMARY KEY (group_id, position)) WITHOUT ROWID;
CREATE TABLE chunk (
  group_id INTEGER NOT NULL, first_tick INTEGER NOT NULL, ticks INTEGER NOT NULL, first_ns INTEGER NOT NULL,
  last_ns INTEGER NOT NULL, codec TEXT NOT NULL, data BLOB NOT NULL, UNIQUE (group_id, first_tick));
CREATE TABLE sample (
  group_id INTEGER NOT NULL, tick INTEGER NOT NULL, channel_id INTEGER NOT NULL, begin_ns INTEGER NOT NULL,
  end_ns INTEGER NOT NULL, raw INTEGER, quality TEXT NOT NULL,
  PRIMARY KEY (group_id, tick, channel_id)) WITHOUT ROWID;
CREATE TABLE span (
  id INTEGER PRIMARY KEY, parent INTEGER, kind TEXT, status TEXT, name TEXT, begin_ns INTEGER, end_ns INTEGER,
  pid INTEGER, thread INTEGER);
CREATE TABLE span_count (span_id INTEGER NOT NULL, key TEXT NOT NULL, value INTEGER NOT NULL, UNIQUE (span_id, key));
CREATE TABLE span_attribute (span_id INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, UNIQUE (span_id, key));
CREATE TABLE process (
  pid INTEGER NOT NULL, start_ticks INTEGER NOT NULL, parent INTEGER NOT NULL, name TEXT NOT NULL,
  begin_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, cpu_user_ns INTEGER NOT NULL, cpu_system_ns INTEGER NOT NULL,
  exited INTEGER NOT NULL, number INTEGER NOT NULL, target TEXT NOT NULL, PRIMARY KEY (pid, start_ticks)) WITHOUT ROWID;
CREATE TABLE target (position INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, selector TEXT NOT NULL);
CREATE TABLE look_chunk (
  first_look INTEGER PRIMARY KEY, looks INTEGER NOT NULL, first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
  codec TEXT NOT NULL, data BLOB NOT NULL);
CREATE TABLE event (at_ns INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE anchor (monotonic_ns INTEGER NOT NULL, wall_ns INTEGER NOT NULL, width_ns INTEGER NOT NULL);
CREATE TABLE total (
  subject TEXT NOT NULL, name TEXT NOT NULL, value REAL NOT NULL, method TEXT NOT NULL, UNIQUE (subject, name));
CREATE TABLE rollup_second (
  channel_id INTEGER NOT NULL, second INTEGER NOT NULL, n INTEGER NOT NULL, min REAL NOT NULL, mean REAL NOT NULL,
  max REAL NOT NULL, energy_j REAL, PRIMARY KEY (channel_id, second)) WITHOUT ROWID;
CREATE VIEW rollup AS
  SELECT c.name AS channel, r.second AS second, a.wall_ns / 1000000000 + r.second AS utc_second, c.unit AS unit,
         r.min AS min, r.mean AS mean, r.max AS max, r.energy_j AS energy_j, r.n AS n, c.origin AS origin
  FROM rollup_second r JOIN channel c ON c.id = r.channel_id
       LEFT JOIN (SELECT wall_ns FROM anchor ORDER BY rowid LIMIT 1) a
  ORDER BY c.id, r.second;
)sql";

// A view in a table's place could make a reader compute for ever.
constexpr const char* count_tables =
    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('meta', 'fact', 'unavailable', 'channel', "
    "'tick_group', 'tick_group_channel', 'chunk', 'sample', 'span', 'span_count', 'span_attribute', 'process', "
    "'event', 'anchor', 'total', 'passport', 'target', 'look_chunk')";

// How many of them a file of each version has.
constexpr std::array<int, 4> tables_of_version{0, 15, 16, 18};
static_assert(tables_of_version.size() == schema_version + 1);

// What a reader of an older file meets in place of what later versions added. It changes no Run: the old file stays as
// it is, and temporary views and tables, which come first where a name is looked up, stand for what it lacks.
struct LaterColumn {
  const char* table;
  const char* column;
  const char* value;
};
constexpr std::array<LaterColumn, 11> later_columns{{{"channel", "averaging_window_ns", "0"},
                                                     // The first files of version 2 do not know of clocks.
                                                     {"channel", "model_reference_clock_hz", "NULL"},
                                                     {"channel", "model_highest_clock_hz", "NULL"},
                                                     {"channel", "model_clock_floor", "NULL"},
                                                     {"channel", "model_clock_limit", "NULL"},
                                                     // Nor all of them of what a passport told of the period.
                                                     {"channel", "learned_period_ns", "NULL"},
                                                     {"channel", "learned_period_sigma_ns", "NULL"},
                                                     {"channel", "learned_period_jitter_ns", "NULL"},
                                                     {"channel", "target", "''"},
                                                     {"process", "number", "0"},
                                                     {"process", "target", "''"}}};
struct LaterTable {
  int version;  // that has it
  const char* sql;
};
constexpr std::array<LaterTable, 2> later_tables{{
    {2,
     "CREATE TEMP TABLE passport ("
     "  channel_id INTEGER PRIMARY KEY, unit TEXT, version INTEGER, learned_utc TEXT, learned_by TEXT, watched_ns "
     "INTEGER,"
     "  reads INTEGER, gaps INTEGER, transitions INTEGER, poll_ns INTEGER, update_period_ns INTEGER,"
     "  period_spread_ns INTEGER, faster_than_ns INTEGER, phase_ns INTEGER, phase_doubt_ns INTEGER, jitter_ns INTEGER,"
     "  averaging_window_ns INTEGER, averaging_how TEXT, step REAL, noise_rms REAL, read_cost_ns INTEGER,"
     "  worst_latency_ns INTEGER, slows_others_ns INTEGER, duplicate_of TEXT, contained_in TEXT, notes TEXT,"
     "  absent TEXT);"},
    {3,
     "CREATE TEMP TABLE target (position INTEGER PRIMARY KEY, name TEXT, selector TEXT);"
     "CREATE TEMP TABLE look_chunk ("
     "  first_look INTEGER PRIMARY KEY, looks INTEGER, first_ns INTEGER, last_ns INTEGER, codec TEXT, data BLOB);"},
}};

Result<void> add_columns(Database& database, const std::string& table) {
  std::string lacking;
  for (const LaterColumn& later : later_columns) {
    if (later.table != table) continue;
    const auto there = database.integer("SELECT count(*) FROM pragma_table_info('" + table +
                                        "', 'main') WHERE name = '" + later.column + "'");
    if (!there) return Unexpected<Error>(there.error());
    if (there->value_or(0) == 0) lacking += std::string(", ") + later.value + " AS " + later.column;
  }
  if (lacking.empty()) return {};
  return database.execute(("CREATE TEMP VIEW " + table + " AS SELECT *" + lacking + " FROM main." + table).c_str());
}

Result<void> migrate(Database& database, int found) {
  if (found == schema_version) return {};
  if (auto done = database.execute("PRAGMA temp_store = MEMORY"); !done) return done;
  for (const char* table : {"channel", "process"})
    if (auto done = add_columns(database, table); !done) return done;
  for (const LaterTable& later : later_tables)
    if (found < later.version)
      if (auto done = database.execute(later.sql); !done) return done;
  return {};
}

}  // namespace

Result<void> create_schema(Database& database) {
  const auto numbers = "PRAGMA application_id = " + std::to_string(application_id) +
                       "; PRAGMA user_version = " + std::to_string(schema_version) + ";";
  if (auto set = database.execute(numbers.c_str()); !set) return set;
  return database.execute(tables);
}

Result<int> check_schema(Database& database, const std::string& where) {
  const auto id = database.integer("PRAGMA application_id");
  if (!id) return Unexpected<Error>(id.error());
  if (id->value_or(0) != application_id)
    return fail(ErrorCode::malformed, "this SQLite database is not a Run", where, "give the path of a .prony file");
  const auto version = database.integer("PRAGMA user_version");
  if (!version) return Unexpected<Error>(version.error());
  const auto found = static_cast<int>(version->value_or(0));
  if (found > schema_version)
    return fail(ErrorCode::malformed,
                "recorded by a newer Prony: schema version " + std::to_string(found) + ", this one reads up to " +
                    std::to_string(schema_version),
                where, "update Prony");
  if (found < 1)
    return fail(ErrorCode::malformed, "schema version " + std::to_string(found) + " never was", where,
                "the file is damaged");
  const auto missing = database.integer(count_tables);
  if (!missing) return Unexpected<Error>(missing.error());
  if (missing->value_or(0) != tables_of_version[static_cast<std::size_t>(found)])
    return fail(ErrorCode::malformed, "the tables of a Run are missing or are no tables", where, "the file is damaged");
  if (auto done = migrate(database, found); !done) return Unexpected<Error>(done.error());
  return found;
}

}  // namespace prony
