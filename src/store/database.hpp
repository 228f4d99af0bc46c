// Database and Statement: SQLite held by owners, its answers as Result. Nothing here knows what a Run is.
// Thread promise: one thread at a time per Database. Ownership: a Statement must not outlive its Database.
// Errors: full (no space, file size limit), denied (read-only place), malformed (not a database, damaged), transient
// (locked).
#pragma once

#include <sqlite3.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace prony {

class Statement {
 public:
  Statement() = default;
  Statement(sqlite3* database, sqlite3_stmt* statement, std::string where)
      : database_(database), statement_(statement), where_(std::move(where)) {}

  // true: a row is there; false: the end.
  [[nodiscard]] Result<bool> step();
  void reset() noexcept;
  // Binds all parameters, runs to the end, resets.
  template <class... Values>
  [[nodiscard]] Result<void> run(const Values&... values) {
    int index = 0;
    (bind(++index, values), ...);
    return finish();
  }
  template <class... Values>
  void bind_all(const Values&... values) {
    int index = 0;
    (bind(++index, values), ...);
  }

  [[nodiscard]] std::int64_t integer(int column) const noexcept;
  [[nodiscard]] double real(int column) const noexcept;
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] std::span<const std::byte> blob(int column) const noexcept;  // valid until the next step
  [[nodiscard]] bool is_null(int column) const noexcept;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
  };
  template <std::integral T>
  void bind(int index, T value) noexcept {
    bind_integer(index, static_cast<std::int64_t>(value));
  }
  template <class T>
  void bind(int index, const std::optional<T>& value) {
    if (value) {
      bind(index, *value);
    } else {
      bind_null(index);
    }
  }
  void bind(int index, double value) noexcept;
  void bind(int index, std::string_view value) noexcept;            // copied
  void bind(int index, std::span<const std::byte> value) noexcept;  // borrowed until the statement is reset
  void bind(int index, const std::string& value) noexcept { bind(index, std::string_view(value)); }
  void bind_integer(int index, std::int64_t value) noexcept;
  void bind_null(int index) noexcept;
  [[nodiscard]] Result<void> finish();

  sqlite3* database_ = nullptr;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  std::string where_;
};

class Database {
 public:
  Database() = default;
  // `name`: a path, or a file: URI when flags hold SQLITE_OPEN_URI. `where` is named by errors.
  [[nodiscard]] static Result<Database> open(const std::string& name, int flags, std::string where);

  [[nodiscard]] Result<void> execute(const char* sql);
  [[nodiscard]] Result<Statement> prepare(std::string_view sql);
  // Prepared once and kept until close(): for the few statements that run again and again. Never null.
  [[nodiscard]] Result<Statement*> kept(std::string_view sql);
  // The first column of the first row; nullopt: no row or NULL.
  [[nodiscard]] Result<std::optional<std::int64_t>> integer(std::string_view sql);
  [[nodiscard]] Result<std::optional<std::string>> text(std::string_view sql);
  [[nodiscard]] bool valid() const noexcept { return handle_ != nullptr; }
  [[nodiscard]] bool in_transaction() const noexcept;
  void close() noexcept {
    kept_.clear();  // a statement that is left would keep the file open
    handle_.reset();
  }

 private:
  struct Close {
    void operator()(sqlite3* handle) const noexcept { sqlite3_close_v2(handle); }
  };
  std::unique_ptr<sqlite3, Close> handle_;
  std::map<std::string, Statement, std::less<>> kept_;
  std::string where_;
};

// The Error for what SQLite last said on this connection.
[[nodiscard]] Error database_error(sqlite3* handle, int code, const std::string& where);

}  // namespace prony
