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
  model_full_w REAL, model_full_low_w REAL, model_full_high_w REAL);
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
  exited INTEGER NOT NULL, PRIMARY KEY (pid, start_ticks)) WITHOUT ROWID;
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
    "'event', "
    "'anchor', 'total')";

// A step of the way from an older schema to this one. There is no older one yet; a row is added with each new version.
struct Migration {
  int from;
  const char* sql;
};
constexpr std::array<Migration, 0> migrations{};

Result<void> migrate(Database& database, int found, const std::string& where) {
  for (const auto& migration : migrations)
    if (migration.from == found) {
      if (auto done = database.execute(migration.sql); !done) return done;
      ++found;
    }
  if (found == schema_version) return {};
  return fail(ErrorCode::malformed, "schema version " + std::to_string(found) + " is too old to be read", where,
              "open it with the version of Prony that recorded it");
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
  const auto missing = database.integer(count_tables);
  if (!missing) return Unexpected<Error>(missing.error());
  if (missing->value_or(0) != 15)
    return fail(ErrorCode::malformed, "the tables of a Run are missing or are no tables", where, "the file is damaged");
  if (found != schema_version)
    if (auto done = migrate(database, found, where); !done) return Unexpected<Error>(done.error());
  return found;
}

}  // namespace prony
