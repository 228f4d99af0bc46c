#include "store/amend.hpp"

#include <sqlite3.h>

#include <array>

#include "store/database.hpp"
#include "store/group_rows.hpp"
#include "store/records.hpp"

namespace prony {

namespace {

Result<void> write_all(Database& database, const Amendment& amendment) {
  if (auto put = put_channels(database, amendment.channels); !put) return put;
  if (auto put = put_groups(database, std::array{amendment.group}); !put) return put;
  auto writer = GroupWriter::prepare(database, amendment.group);
  if (!writer) return Unexpected<Error>(writer.error());
  for (const TickBlock& block : amendment.blocks)
    if (auto done = writer->append(block); !done) return done;
  if (auto done = writer->write_tail(); !done) return done;
  if (auto done = writer->compact(); !done) return done;
  for (const Fact& fact : amendment.facts)
    if (auto put = put_fact(database, fact); !put) return put;
  auto inside = database.prepare("UPDATE channel SET part_of = ? WHERE id = ?");
  if (!inside) return Unexpected<Error>(inside.error());
  for (const auto& [part, whole] : amendment.part_of)
    if (auto done = inside->run(whole.value, part.value); !done) return done;
  return {};
}

}  // namespace

Result<void> amend_run(const std::filesystem::path& path, const Amendment& amendment) {
  auto database = Database::open(path.string(), SQLITE_OPEN_READWRITE, path.string());
  if (!database) return Unexpected<Error>(database.error());
  if (auto begun = database->execute("BEGIN IMMEDIATE"); !begun) return begun;
  if (auto written = write_all(*database, amendment); !written) {
    (void)database->execute("ROLLBACK");
    return written;
  }
  return database->execute("COMMIT");
}

}  // namespace prony
