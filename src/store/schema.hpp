// Schema: the tables of a Run file, and the way from older versions to this one. docs/run-format.md explains each
// column. Thread promise: as Database.
#pragma once

#include "base/result.hpp"
#include "store/database.hpp"

namespace prony {

inline constexpr int application_id = 0x50724e59;  // "PrNY", for file(1) and for telling a Run from any other database

// Writes the schema of model/manifest.hpp's schema_version into an empty database (inside the caller's transaction).
[[nodiscard]] Result<void> create_schema(Database& database);
// malformed: not a Run, a newer schema, or an older one without a way here. Answers the version found.
[[nodiscard]] Result<int> check_schema(Database& database, const std::string& where);

}  // namespace prony
