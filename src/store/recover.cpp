#include "store/recover.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "base/fd.hpp"
#include "base/text.hpp"
#include "store/records.hpp"
#include "store/schema.hpp"
#include "store/span_consumer.hpp"
#include "store/span_rows.hpp"

namespace prony {
namespace {

bool is_there(const std::filesystem::path& path) noexcept {
  std::error_code error;
  return std::filesystem::exists(path, error);
}
bool has_bytes(const std::filesystem::path& path) noexcept {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return !error && size > 0;
}
bool can_write(const std::filesystem::path& path) noexcept {
  const auto folder = path.parent_path();
  return ::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) == 0 &&
         ::faccessat(AT_FDCWD, folder.empty() ? "." : folder.c_str(), W_OK | X_OK, AT_EACCESS) == 0;
}

Result<void> check_is_database(const std::filesystem::path& path) {
  const auto where = path.string();
  const auto fd = Fd::open(where, O_RDONLY);
  if (!fd) {
    auto error = fd.error();
    if (error.code == ErrorCode::absent) error.fix = "check the path; Runs lie in runs/ unless --out said otherwise";
    return Unexpected<Error>(std::move(error));
  }
  struct stat status{};
  if (::fstat(fd->get(), &status) != 0) return Unexpected<Error>(error_from_errno(errno, where, "cannot stat"));
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::malformed, "not a Run: this is no regular file", where);
  constexpr std::string_view mark("SQLite format 3\0", 16);
  std::array<char, mark.size()> head{};
  const auto got = ::pread(fd->get(), head.data(), head.size(), 0);
  // A recorder killed at once leaves all it wrote in the -wal.
  if (got == 0 && has_bytes(companion(path, "-wal"))) return {};
  if (got != static_cast<ssize_t>(head.size()) || std::string_view(head.data(), head.size()) != mark)
    return fail(ErrorCode::malformed, got == 0 ? "not a Run: the file is empty" : "not a Run", where,
                "give the path of a .prony file");
  return {};
}

// As a URI: "?" and "%" in a path must not be read as one's own.
std::string immutable_uri(const std::filesystem::path& path) {
  std::string uri = "file:";
  for (const char c : path.string()) {
    if (c == '%' || c == '?' || c == '#') {
      constexpr std::string_view digits = "0123456789ABCDEF";
      const auto byte = static_cast<unsigned char>(c);
      uri += '%';
      uri += digits[byte >> 4];
      uri += digits[byte & 15];
    } else {
      uri += c;
    }
  }
  return uri + "?immutable=1";
}

Result<Database> open_checked(const std::string& name, int flags, const std::string& where) {
  auto database = Database::open(name, flags, where);
  if (!database) return database;
  if (auto version = check_schema(*database, where); !version) return Unexpected<Error>(version.error());
  return database;
}

Result<std::string> meta(Database& database, const char* key) {
  auto statement = database.prepare("SELECT value FROM meta WHERE key = ?");
  if (!statement) return Unexpected<Error>(statement.error());
  statement->bind_all(std::string_view(key));
  const auto row = statement->step();
  if (!row) return Unexpected<Error>(row.error());
  return *row ? statement->text(0) : std::string();
}

Result<bool> recorder_lives(Database& database) {
  Identity identity;
  const auto pid = meta(database, "recorder_pid");
  const auto ticks = meta(database, "recorder_start_ticks");
  const auto boot = meta(database, "boot_id");
  if (!pid) return Unexpected<Error>(pid.error());
  if (!ticks || !boot) return false;
  identity.pid = parse_i64(*pid).value_or(0);
  identity.start_ticks = parse_u64(*ticks).value_or(0);
  identity.boot_id = *boot;
  return is_alive(identity);
}

// Drains what a dead recorder's producers left, and says that the Run was interrupted.
Result<void> finish_for_the_dead(Database& database, const std::filesystem::path& spans, bool writable) {
  const auto state = meta(database, "state");
  if (!state) return Unexpected<Error>(state.error());
  if (*state != to_string(RunState::recording)) return {};
  if (auto begun = database.execute("BEGIN IMMEDIATE"); !begun) return begun;
  const auto lost = meta(database, "spans_lost");
  auto rows = SpanRows::prepare(database);
  if (!rows) return Unexpected<Error>(rows.error());
  auto consumer = is_there(spans) ? SpanConsumer::open(spans, writable) : fail(ErrorCode::absent, "no span file");
  if (consumer) {
    const auto sink = [&](const SpanChange& change) { return rows->apply(change); };
    if (auto done = consumer->drain(sink); !done && done.error().code != ErrorCode::gone) return done;
    if (auto done = consumer->finish(sink); !done) return done;
    // The recorder's last word counted what the producers dropped until then; their counters hold the whole.
    const auto dropped = std::max(consumer->lost(), lost ? parse_u64(*lost).value_or(0) : 0);
    if (auto done = store_losses(database, *consumer, dropped - consumer->lost(), rows->latest(), true); !done)
      return done;
  } else if (consumer.error().code != ErrorCode::absent) {
    const auto at = database.integer("SELECT max(last_ns) FROM chunk");
    if (auto done = put_event(
            database, Event{Instant{at ? at->value_or(0) : 0}, "spans-lost", "span file", consumer.error().what});
        !done)
      return done;
  }
  if (auto done = put_meta(database, "state", std::string(to_string(RunState::interrupted))); !done) return done;
  if (auto done = database.execute("COMMIT"); !done) return done;
  if (consumer && writable) {
    consumer->publish();
    consumer->stop_producers();
  }
  return {};
}

Result<OpenedRun> recover_in_place(const std::filesystem::path& path) {
  const auto where = path.string();
  const auto spans = companion(path, ".spans");
  auto database = open_checked(where, SQLITE_OPEN_READWRITE, where);
  if (!database) return Unexpected<Error>(database.error());
  OpenedRun opened;
  opened.database = std::move(*database);
  if (is_there(spans)) {  // where the file system has no locks, the process tells
    const auto alive = recorder_lives(opened.database);
    if (!alive) return Unexpected<Error>(alive.error());
    if (*alive) return opened;
  }
  if (auto done = finish_for_the_dead(opened.database, spans, true); !done) return Unexpected<Error>(done.error());
  (void)opened.database.execute("PRAGMA wal_checkpoint(TRUNCATE)");
  (void)opened.database.execute("PRAGMA journal_mode = DELETE");  // busy: another reader does it later
  std::error_code ignored;
  std::filesystem::remove(spans, ignored);
  opened.state = RunState::interrupted;
  return opened;
}

Result<OpenedRun> recover_in_copy(const std::filesystem::path& path, bool alive) {
  auto folder = TemporaryFolder::make();
  if (!folder) return Unexpected<Error>(folder.error());
  const auto copy = folder->path() / "run.prony";
  for (const auto* suffix : {"", "-wal", "-journal"}) {
    if (!is_there(companion(path, suffix))) continue;
    std::error_code error;
    std::filesystem::copy_file(companion(path, suffix), companion(copy, suffix), error);
    if (error) return Unexpected<Error>(error_from_errno(error.value(), path.string(), "cannot copy it to recover it"));
    std::filesystem::permissions(companion(copy, suffix),
                                 std::filesystem::perms::owner_read | std::filesystem::perms::owner_write, error);
  }
  auto database = open_checked(copy.string(), SQLITE_OPEN_READWRITE, path.string());
  if (!database) return Unexpected<Error>(database.error());
  OpenedRun opened;
  opened.folder = std::move(*folder);
  opened.database = std::move(*database);
  if (alive) return opened;
  if (auto done = finish_for_the_dead(opened.database, companion(path, ".spans"), false); !done)
    return Unexpected<Error>(done.error());
  opened.state = RunState::interrupted;
  return opened;
}

Result<OpenedRun> open_for_reading(const std::filesystem::path& path) {
  auto database = open_checked(path.string(), SQLITE_OPEN_READONLY, path.string());
  if (!database && database.error().code != ErrorCode::malformed)  // WAL mode where the -shm cannot be made
    database = open_checked(immutable_uri(path), SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, path.string());
  if (!database) return Unexpected<Error>(database.error());
  OpenedRun opened;
  opened.database = std::move(*database);
  return opened;
}

Result<OpenedRun> open_beside_recorder(const std::filesystem::path& path) {
  auto database = open_checked(path.string(), SQLITE_OPEN_READONLY, path.string());
  if (!database) return recover_in_copy(path, true);
  OpenedRun opened;
  opened.database = std::move(*database);
  return opened;
}

}  // namespace

Result<OpenedRun> open_run_database(const std::filesystem::path& path) {
  if (auto sound = check_is_database(path); !sound) return Unexpected<Error>(sound.error());
  const auto spans = companion(path, ".spans");
  if (SpanConsumer::locked(spans)) return open_beside_recorder(path);
  const auto left = is_there(spans) || has_bytes(companion(path, "-wal")) || has_bytes(companion(path, "-journal"));
  auto opened = [&]() -> Result<OpenedRun> {
    if (!left) return open_for_reading(path);
    if (can_write(path)) {
      auto recovered = recover_in_place(path);
      if (recovered || recovered.error().code == ErrorCode::malformed) return recovered;
    }
    return recover_in_copy(path, false);
  }();
  if (!opened) return opened;
  const auto word = meta(opened->database, "state");
  if (!word) return Unexpected<Error>(word.error());
  if (*word == to_string(RunState::complete)) {
    opened->state = RunState::complete;
  } else if (!left || *word == to_string(RunState::interrupted)) {
    opened->state = RunState::interrupted;
  }
  return opened;
}

}  // namespace prony
