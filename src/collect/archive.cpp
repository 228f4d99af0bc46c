#include "collect/archive.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/text.hpp"

namespace prony::collect {

namespace {

constexpr std::size_t most_known = 5000;                // streams held in memory; others are looked up again
constexpr int application_id = 0x50724f43, layout = 1;  // "PrOC"

constexpr const char* tables = R"sql(
CREATE TABLE stream (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, client TEXT NOT NULL, host TEXT NOT NULL, boot TEXT NOT NULL,
  version TEXT NOT NULL, simulated TEXT NOT NULL, begun_wall_ns INTEGER NOT NULL, interval_ns INTEGER NOT NULL,
  series TEXT NOT NULL, latest TEXT NOT NULL, frames INTEGER NOT NULL DEFAULT 0, doubled INTEGER NOT NULL DEFAULT 0,
  lost INTEGER NOT NULL DEFAULT 0, dropped INTEGER NOT NULL DEFAULT 0, last_sequence INTEGER NOT NULL DEFAULT 0,
  forgotten_through INTEGER NOT NULL DEFAULT 0, offset_ns INTEGER, doubt_ns INTEGER,
  first_received_ns INTEGER NOT NULL, last_received_ns INTEGER NOT NULL, last_wall_ns INTEGER NOT NULL DEFAULT 0);
CREATE TABLE frame (
  stream_id INTEGER NOT NULL REFERENCES stream(id), sequence INTEGER NOT NULL, wall_ns INTEGER NOT NULL,
  monotonic_ns INTEGER NOT NULL, dropped INTEGER NOT NULL, received_ns INTEGER NOT NULL, "values" TEXT NOT NULL,
  PRIMARY KEY (stream_id, sequence)) WITHOUT ROWID;
CREATE TABLE log_client (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, messages INTEGER NOT NULL, doubled INTEGER NOT NULL,
  bytes_sent INTEGER NOT NULL, bytes_received INTEGER NOT NULL, first_received_ns INTEGER NOT NULL,
  last_received_ns INTEGER NOT NULL);
CREATE TABLE message (
  id INTEGER PRIMARY KEY, log_client_id INTEGER NOT NULL REFERENCES log_client(id), received_ns INTEGER NOT NULL,
  created_ns INTEGER, level TEXT, message TEXT NOT NULL, cpu_percent REAL, memory_percent REAL, bytes_sent INTEGER,
  bytes_received INTEGER, vdd_in_mw REAL, vdd_cpu_gpu_cv_mw REAL, vdd_soc_mw REAL);
CREATE INDEX message_of ON message (log_client_id, id);
CREATE TABLE message_number (
  log_client_id INTEGER NOT NULL, stream TEXT NOT NULL, sequence INTEGER NOT NULL,
  PRIMARY KEY (log_client_id, stream, sequence)) WITHOUT ROWID;
)sql";

// Files of earlier versions have them not.
constexpr const char* indexes =
    "CREATE INDEX IF NOT EXISTS frame_by_age ON frame (received_ns);"
    "CREATE INDEX IF NOT EXISTS message_by_age ON message (received_ns);";

std::string series_text(const std::vector<SeriesHead>& series) {
  auto list = nlohmann::ordered_json::array();
  for (const SeriesHead& one : series) {
    nlohmann::ordered_json row = {
        {"name", one.name}, {"unit", one.unit}, {"kind", one.counter ? "counter" : "gauge"}, {"origin", one.origin}};
    for (const auto& [key, text] : {std::pair<const char*, const std::string&>{"device", one.device},
                                    {"domain", one.domain},
                                    {"target", one.target}})
      if (!text.empty()) row[key] = text;
    list.push_back(std::move(row));
  }
  return list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::string values_text(const std::vector<std::optional<double>>& values) {
  std::string text = "[";
  for (const auto& value : values) text += (text.size() > 1 ? "," : "") + (value ? format_number(*value) : "null");
  return text + "]";
}

std::vector<std::optional<double>> values_of(const std::string& text) {
  std::vector<std::optional<double>> values;
  const auto list = nlohmann::json::parse(text, nullptr, false);
  if (list.is_array())
    for (const auto& value : list)
      values.push_back(value.is_number() ? std::optional(value.get<double>()) : std::nullopt);
  return values;
}

template <class Work>
auto Archive::in_transaction(Work&& work) -> decltype(work()) {
  if (auto begun = database_.execute("BEGIN IMMEDIATE"); !begun) return Unexpected<Error>(begun.error());
  auto done = work();
  Result<void> ended = database_.execute(done ? "COMMIT" : "ROLLBACK");
  if (done && !ended) {
    (void)database_.execute("ROLLBACK");
    return Unexpected<Error>(ended.error());
  }
  return done;
}

Result<Archive> Archive::open(const std::string& path) {
  Archive archive;
  if (auto begun = archive.begin(path); !begun) {
    Error error = begun.error();
    if (error.code == ErrorCode::malformed)
      error = {ErrorCode::usage, "this is no file of prony collect", path, "Name another one with --out."};
    return Unexpected<Error>(std::move(error));
  }
  return archive;
}

Result<void> Archive::begin(const std::string& path) {
  auto file = Fd::open(path, O_RDWR | O_CREAT, 0600);
  if (!file) return Unexpected<Error>(file.error());
  lock_ = std::move(*file);
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0)
    return fail(ErrorCode::usage, "another prony collect writes this file", path, "Name another one with --out.");
  auto database = Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, path);
  if (!database) return Unexpected<Error>(database.error());
  database_ = std::move(*database);
  const auto id = database_.integer("PRAGMA application_id");
  if (!id) return Unexpected<Error>(id.error());
  const auto there = database_.integer("SELECT count(*) FROM sqlite_schema");
  if (!there) return Unexpected<Error>(there.error());
  const auto version = database_.integer("PRAGMA user_version");
  if (!version) return Unexpected<Error>(version.error());
  const bool empty = there->value_or(1) == 0;
  if (!empty && (id->value_or(0) != application_id || version->value_or(0) != layout))
    return fail(ErrorCode::malformed, "not of prony collect");
  if (auto set = database_.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL"); !set) return set;
  return in_transaction([&]() -> Result<void> {
    if (!empty) return database_.execute(indexes);
    if (auto made = database_.execute(tables); !made) return made;
    if (auto made = database_.execute(indexes); !made) return made;
    const std::string marks = "PRAGMA application_id = " + std::to_string(application_id) +
                              "; PRAGMA user_version = " + std::to_string(layout);
    return database_.execute(marks.c_str());
  });
}

Result<std::optional<Archive::Known>> Archive::find(const std::string& stream) {
  if (const auto known = known_.find(stream); known != known_.end()) return std::optional(known->second);
  auto row = database_.kept(
      "SELECT id, client, json_array_length(series), last_sequence, forgotten_through, last_wall_ns, latest "
      "FROM stream WHERE name = ?");
  if (!row) return Unexpected<Error>(row.error());
  (*row)->bind_all(stream);
  const auto there = (*row)->step();
  std::optional<Known> known;
  if (there && *there)
    known = Known{(*row)->integer(0),
                  (*row)->text(1),
                  static_cast<std::size_t>((*row)->integer(2)),
                  static_cast<std::uint64_t>((*row)->integer(3)),
                  static_cast<std::uint64_t>((*row)->integer(4)),
                  (*row)->integer(5),
                  values_of((*row)->text(6))};
  (*row)->reset();
  if (!there) return Unexpected<Error>(there.error());
  if (known) known->latest.resize(known->series);
  return known;
}

Result<Archive::Known> Archive::describe(const Batch& batch, std::int64_t received_ns) {
  const StreamFacts& facts = *batch.facts;
  Known known;
  known.client = batch.client;
  known.series = facts.series.size();
  known.latest.resize(known.series);
  auto insert = database_.kept(
      "INSERT INTO stream (name, client, host, boot, version, simulated, begun_wall_ns, interval_ns, series, latest, "
      "first_received_ns, last_received_ns) VALUES (?,?,?,?,?,?,?,?,?,?,?,?) RETURNING id");
  if (!insert) return Unexpected<Error>(insert.error());
  (*insert)->bind_all(batch.stream, batch.client, facts.host, facts.boot, facts.version, facts.simulated,
                      facts.begun_wall_ns, facts.interval_ns, series_text(facts.series), values_text(known.latest),
                      received_ns, received_ns);
  const auto made = (*insert)->step();
  if (made && *made) known.id = (*insert)->integer(0);
  (*insert)->reset();
  if (!made) return Unexpected<Error>(made.error());
  return known;
}

// true: it was not there.
Result<bool> Archive::write_frame(const ReceivedFrame& frame, const Known& known, std::int64_t received_ns) {
  if (frame.sequence <= known.forgotten_through) return false;
  auto insert = database_.kept("INSERT OR IGNORE INTO frame VALUES (?,?,?,?,?,?,?) RETURNING 1");
  if (!insert) return Unexpected<Error>(insert.error());
  (*insert)->bind_all(known.id, frame.sequence, frame.wall_ns, frame.monotonic_ns, frame.dropped, received_ns,
                      values_text(frame.values));
  auto fresh = (*insert)->step();
  (*insert)->reset();
  return fresh;
}

Result<Stored> Archive::write(const Batch& batch, Known& known, std::int64_t received_ns) {
  Stored stored;
  std::uint64_t dropped = 0;
  for (const ReceivedFrame& frame : batch.frames) {
    if (frame.values.size() != known.series)
      return fail(ErrorCode::malformed,
                  "frame " + std::to_string(frame.sequence) + " has " + std::to_string(frame.values.size()) +
                      " values, and its stream " + std::to_string(known.series) + " series",
                  frame_misfit);
    const auto fresh = write_frame(frame, known, received_ns);
    if (!fresh) return Unexpected<Error>(fresh.error());
    ++(*fresh ? stored.fresh : stored.doubled);
    if (frame.sequence <= known.last_sequence) continue;
    known.last_sequence = frame.sequence;
    known.last_wall_ns = frame.wall_ns;
    dropped = frame.dropped;
    for (std::size_t i = 0; i < known.series; ++i)
      if (frame.values[i]) known.latest[i] = frame.values[i];
  }
  stored.last_sequence = known.last_sequence;
  auto update = database_.kept(
      "UPDATE stream SET frames = frames + ?, doubled = doubled + ?, lost = max(lost, ?), dropped = max(dropped, ?), "
      "last_sequence = ?, last_wall_ns = ?, latest = ?, last_received_ns = max(last_received_ns, ?), "
      "offset_ns = coalesce(?, offset_ns), doubt_ns = coalesce(?, doubt_ns) WHERE id = ?");
  if (!update) return Unexpected<Error>(update.error());
  std::optional<std::int64_t> offset, doubt;
  if (batch.clock) offset = batch.clock->offset_ns, doubt = batch.clock->doubt_ns;
  if (auto done = (*update)->run(stored.fresh, stored.doubled, batch.lost_frames, dropped, known.last_sequence,
                                 known.last_wall_ns, values_text(known.latest), received_ns, offset, doubt, known.id);
      !done)
    return Unexpected<Error>(done.error());
  return stored;
}

Result<Stored> Archive::store(const Batch& batch, std::int64_t received_ns) {
  Known known;
  auto stored = in_transaction([&]() -> Result<Stored> {
    auto found = find(batch.stream);
    if (!found) return Unexpected<Error>(found.error());
    if (!*found && !batch.facts) return fail(ErrorCode::absent, "this stream was never described: send its head");
    if (*found && (*found)->client != batch.client) return fail(ErrorCode::usage, "this stream is another client's");
    if (!*found) {
      auto described = describe(batch, received_ns);
      if (!described) return Unexpected<Error>(described.error());
      *found = std::move(*described);
    }
    known = std::move(**found);
    return write(batch, known, received_ns);
  });
  if (!stored) return stored;
  if (known_.size() >= most_known) known_.clear();
  known_.insert_or_assign(batch.stream, std::move(known));
  return stored;
}

// true: nobody came with it before. Only the last numbers of a stream are kept, or they would grow for ever.
Result<bool> Archive::write_number(const LogEntry& entry, std::int64_t log_client_id) {
  auto number = database_.kept(
      "INSERT OR IGNORE INTO message_number SELECT ?1, ?2, ?3 WHERE ?3 > coalesce((SELECT max(sequence) FROM "
      "message_number WHERE log_client_id = ?1 AND stream = ?2), 0) - ?4 RETURNING 1");
  if (!number) return Unexpected<Error>(number.error());
  (*number)->bind_all(log_client_id, entry.stream, *entry.sequence, numbers_known);
  const auto is_new = (*number)->step();
  (*number)->reset();
  if (!is_new || !*is_new) return is_new;
  auto old = database_.kept("DELETE FROM message_number WHERE log_client_id = ? AND stream = ? AND sequence <= ?");
  if (!old) return Unexpected<Error>(old.error());
  const auto last = static_cast<std::int64_t>(*entry.sequence) - numbers_known;
  if (auto done = (*old)->run(log_client_id, entry.stream, last); !done) return Unexpected<Error>(done.error());
  return true;
}

Result<bool> Archive::store(const LogEntry& entry, std::int64_t received_ns) {
  return in_transaction([&]() -> Result<bool> {
    const LogNumbers& n = entry.numbers;
    auto client = database_.kept(
        "INSERT INTO log_client VALUES (NULL, ?, 0, 0, 0, 0, ?, ?) ON CONFLICT (name) DO UPDATE SET "
        "last_received_ns = max(last_received_ns, excluded.last_received_ns) RETURNING id");
    if (!client) return Unexpected<Error>(client.error());
    (*client)->bind_all(entry.identifier, received_ns, received_ns);
    const auto there = (*client)->step();
    const std::int64_t id = there && *there ? (*client)->integer(0) : 0;
    (*client)->reset();
    if (!there) return Unexpected<Error>(there.error());
    bool fresh = true;
    if (entry.sequence) {
      const auto is_new = write_number(entry, id);
      if (!is_new) return is_new;
      fresh = *is_new;
    }
    auto count = database_.kept(
        "UPDATE log_client SET messages = messages + ?, doubled = doubled + ?, bytes_sent = bytes_sent + ?, "
        "bytes_received = bytes_received + ? WHERE id = ?");
    if (!count) return Unexpected<Error>(count.error());
    const auto bytes = [&](const std::optional<std::uint64_t>& b) {  // nobody moves a petabyte in an interval
      return fresh && b && *b < (std::uint64_t{1} << 50) ? *b : 0;
    };
    if (auto done = (*count)->run(fresh ? 1 : 0, fresh ? 0 : 1, bytes(n.bytes_sent), bytes(n.bytes_received), id);
        !done)
      return Unexpected<Error>(done.error());
    if (!fresh) return false;
    auto insert = database_.kept("INSERT INTO message VALUES (NULL,?,?,?,?,?,?,?,?,?,?,?,?)");
    if (!insert) return Unexpected<Error>(insert.error());
    if (auto done = (*insert)->run(id, received_ns, entry.created_ns, entry.level, entry.message, n.cpu_percent,
                                   n.memory_percent, n.bytes_sent, n.bytes_received, n.vdd_in_mw, n.vdd_cpu_gpu_cv_mw,
                                   n.vdd_soc_mw);
        !done)
      return Unexpected<Error>(done.error());
    return true;
  });
}

Result<bool> Archive::forget_before(std::int64_t received_ns, std::uint64_t most) {
  std::vector<std::pair<std::string, std::uint64_t>> through;
  std::int64_t gone = 0;
  const auto more = in_transaction([&]() -> Result<bool> {
    // Up to the highest number that goes, for a sender may come with an old one again.
    static const std::string mark =
        "UPDATE stream SET forgotten_through = max(forgotten_through, old.through) FROM (SELECT stream_id, "
        "max(sequence) AS through FROM (" +
        std::string(frames_before) +
        ") GROUP BY stream_id) AS old WHERE stream.id = old.stream_id RETURNING name, forgotten_through";
    auto marked = database_.kept(mark);
    if (!marked) return Unexpected<Error>(marked.error());
    (*marked)->bind_all(received_ns, most);
    Result<bool> row = (*marked)->step();
    for (; row && *row; row = (*marked)->step())
      through.emplace_back((*marked)->text(0), static_cast<std::uint64_t>((*marked)->integer(1)));
    (*marked)->reset();
    if (!row) return row;
    for (const auto& [table, key, chosen] :
         {std::tuple("frame", "(stream_id, sequence)", frames_before), std::tuple("message", "id", messages_before)}) {
      auto taken = database_.kept(std::string("DELETE FROM ") + table + " WHERE " + key + " IN (" + chosen + ")");
      if (!taken) return Unexpected<Error>(taken.error());
      if (auto done = (*taken)->run(received_ns, most); !done) return Unexpected<Error>(done.error());
      const auto count = database_.integer("SELECT changes()");
      if (!count) return Unexpected<Error>(count.error());
      gone = std::max(gone, count->value_or(0));
    }
    return static_cast<std::uint64_t>(gone) >= most;
  });
  if (!more) return more;
  for (const auto& [name, number] : through)
    if (const auto known = known_.find(name); known != known_.end()) known->second.forgotten_through = number;
  return more;
}

}  // namespace prony::collect
