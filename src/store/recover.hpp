// Recover: opens the database of a Run whatever its recorder left behind, and says whether it still records.
// Thread promise: one thread per OpenedRun. Errors: absent, denied, malformed.
#pragma once

#include <filesystem>

#include "base/result.hpp"
#include "model/manifest.hpp"
#include "store/database.hpp"
#include "store/place.hpp"

namespace prony {

struct OpenedRun {
  TemporaryFolder folder;  // holds the copy, where the Run could only be recovered in one; outlives `database`
  Database database;
  RunState state = RunState::recording;
};

// In this order: a living recorder's Run is read beside it and never touched; a dead one's is recovered in place
// (journal played back, span file drained and removed, state set to interrupted), or in a temporary copy where it lies
// where we cannot write; a finished one is opened read-only, needing no write permission anywhere.
[[nodiscard]] Result<OpenedRun> open_run_database(const std::filesystem::path& path);

}  // namespace prony
