#include "store/database.hpp"

#include <cerrno>
#include <utility>

namespace prony {
namespace {

constexpr int busy_timeout_ms = 2000;
constexpr int longest_value_bytes = 64 << 20;  // a damaged length field must not ask for gigabytes

ErrorCode code_of(sqlite3* handle, int code) noexcept {
  switch (code & 0xff) {
    case SQLITE_FULL: return ErrorCode::full;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN: return ErrorCode::denied;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR:  // our SQL is right, so the tables are not what they should be
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_CONSTRAINT: return ErrorCode::malformed;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return ErrorCode::transient;
    case SQLITE_IOERR: {
      const int reason = handle == nullptr ? 0 : sqlite3_system_errno(handle);
      if (reason == ENOSPC || reason == EDQUOT || reason == EFBIG) return ErrorCode::full;
      // SQLite reads errno late, when it may say something else; a write that fails and is no EIO found no room.
      if ((code == SQLITE_IOERR_WRITE || code == SQLITE_IOERR_SHMSIZE) && reason != EIO) return ErrorCode::full;
      return ErrorCode::transient;
    }
    default: return ErrorCode::unavailable;
  }
}

std::string fix_for(ErrorCode code) {
  switch (code) {
    case ErrorCode::full: return "free some space, or record to another disk with --out";
    case ErrorCode::denied: return "check the permissions of the file and of its folder";
    case ErrorCode::malformed:
      return "the file is damaged or is not a Run; `sqlite3 FILE .recover` saves what can be saved";
    case ErrorCode::transient: return "another program holds the file; try again";
    default: return {};
  }
}

}  // namespace

Error database_error(sqlite3* handle, int code, const std::string& where) {
  const auto kind = code_of(handle, code);
  std::string what = handle != nullptr ? sqlite3_errmsg(handle) : sqlite3_errstr(code);
  if (kind == ErrorCode::full && (code & 0xff) != SQLITE_FULL)
    what = "no space left, or the file size limit is reached";
  return Error{kind, std::move(what), where, fix_for(kind)};
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return Unexpected<Error>(database_error(database_, sqlite3_extended_errcode(database_), where_));
}

void Statement::reset() noexcept {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
}

Result<void> Statement::finish() {
  auto more = step();
  while (more && *more) more = step();
  reset();
  if (!more) return Unexpected<Error>(more.error());
  return {};
}

std::int64_t Statement::integer(int column) const noexcept { return sqlite3_column_int64(statement_.get(), column); }
double Statement::real(int column) const noexcept { return sqlite3_column_double(statement_.get(), column); }
bool Statement::is_null(int column) const noexcept {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}
std::string Statement::text(int column) const {
  const auto* data = sqlite3_column_text(statement_.get(), column);
  if (data == nullptr) return {};
  return {reinterpret_cast<const char*>(data),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}
std::span<const std::byte> Statement::blob(int column) const noexcept {
  const void* data = sqlite3_column_blob(statement_.get(), column);
  if (data == nullptr) return {};
  return {static_cast<const std::byte*>(data),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

// A bind can only fail for want of memory or a wrong index; both show at the next step.
void Statement::bind(int index, double value) noexcept { sqlite3_bind_double(statement_.get(), index, value); }
void Statement::bind(int index, std::string_view value) noexcept {
  sqlite3_bind_text64(statement_.get(), index, value.data() == nullptr ? "" : value.data(), value.size(),
                      SQLITE_TRANSIENT, SQLITE_UTF8);
}
void Statement::bind(int index, std::span<const std::byte> value) noexcept {
  sqlite3_bind_blob64(statement_.get(), index, value.data(), value.size(), SQLITE_STATIC);
}
void Statement::bind_integer(int index, std::int64_t value) noexcept {
  sqlite3_bind_int64(statement_.get(), index, value);
}
void Statement::bind_null(int index) noexcept { sqlite3_bind_null(statement_.get(), index); }

Result<Database> Database::open(const std::string& name, int flags, std::string where) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(name.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  Database database;
  database.handle_.reset(raw);
  database.where_ = std::move(where);
  if (code != SQLITE_OK) return Unexpected<Error>(database_error(raw, code, database.where_));
  sqlite3_busy_timeout(raw, busy_timeout_ms);
  sqlite3_limit(raw, SQLITE_LIMIT_LENGTH, longest_value_bytes);
  // The file may come from anybody: its schema must not run functions or write into the schema itself.
  sqlite3_db_config(raw, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return database;
}

Result<void> Database::execute(const char* sql) {
  const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return Unexpected<Error>(database_error(handle_.get(), code, where_));
  return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return Unexpected<Error>(database_error(handle_.get(), code, where_));
  return Statement(handle_.get(), statement, where_);
}

Result<Statement*> Database::kept(std::string_view sql) {
  if (const auto known = kept_.find(sql); known != kept_.end()) return &known->second;
  auto statement = prepare(sql);
  if (!statement) return Unexpected<Error>(statement.error());
  return &kept_.emplace(std::string(sql), std::move(*statement)).first->second;
}

Result<std::optional<std::int64_t>> Database::integer(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return Unexpected<Error>(statement.error());
  const auto row = statement->step();
  if (!row) return Unexpected<Error>(row.error());
  if (!*row || statement->is_null(0)) return std::optional<std::int64_t>{};
  return std::optional(statement->integer(0));
}

Result<std::optional<std::string>> Database::text(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return Unexpected<Error>(statement.error());
  const auto row = statement->step();
  if (!row) return Unexpected<Error>(row.error());
  if (!*row || statement->is_null(0)) return std::optional<std::string>{};
  return std::optional(statement->text(0));
}

bool Database::in_transaction() const noexcept { return sqlite3_get_autocommit(handle_.get()) == 0; }

}  // namespace prony
