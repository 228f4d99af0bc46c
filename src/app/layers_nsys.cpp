#include "app/layers_nsys.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <map>
#include <vector>

#include "layers/other_files.hpp"
#include "store/database.hpp"

namespace prony::app {

namespace {

constexpr std::size_t most_kernels = 20'000'000;

struct NamedRange {
  std::int64_t begin_ns = 0, end_ns = 0;
  std::string text;
  std::uint64_t number = 0;  // from 1, of all threads
};
// By thread, sorted by beginning.
using RangesOfThreads = std::map<std::int64_t, std::vector<NamedRange>>;

Result<bool> has_table(Database& database, const std::string& name) {
  auto ask = database.prepare("SELECT 1 FROM sqlite_master WHERE type IN ('table','view') AND name = ?");
  if (!ask) return Unexpected<Error>(ask.error());
  ask->bind_all(name);
  return ask->step();
}

Result<RangesOfThreads> ranges_of(Database& database) {
  RangesOfThreads ranges;
  const auto there = has_table(database, "NVTX_EVENTS");
  if (!there) return Unexpected<Error>(there.error());
  if (!*there) return ranges;
  auto rows = database.prepare(
      "SELECT e.globalTid, e.start, e.end, coalesce(e.text, s.value) FROM NVTX_EVENTS e LEFT JOIN StringIds s ON s.id "
      "= e.textId "
      "WHERE e.end IS NOT NULL AND e.end >= e.start ORDER BY e.globalTid, e.start");
  if (!rows) return Unexpected<Error>(rows.error());
  std::size_t count = 0;
  while (true) {
    const auto row = rows->step();
    if (!row) return Unexpected<Error>(row.error());
    if (!*row) return ranges;
    if (++count > most_kernels) return fail(ErrorCode::full, "more than 20 million ranges");
    if (!rows->is_null(3))
      ranges[rows->integer(0)].push_back({rows->integer(1), rows->integer(2), rows->text(3), count});
  }
}

// Launches come in the order of their threads and beginnings: the ranges that are open then are on a stack.
class Innermost {
 public:
  explicit Innermost(const RangesOfThreads& ranges) : ranges_(ranges) {}
  // Null: none. Valid as long as the ranges are.
  const NamedRange* at(std::int64_t thread, std::int64_t ns) {
    if (thread != thread_ || of_ == nullptr) {
      const auto found = ranges_.find(thread);
      of_ = found == ranges_.end() ? &none_ : &found->second;
      thread_ = thread;
      next_ = 0;
      open_.clear();
    }
    for (; next_ < of_->size() && (*of_)[next_].begin_ns <= ns; ++next_) open_.push_back(next_);
    while (!open_.empty() && (*of_)[open_.back()].end_ns < ns) open_.pop_back();
    // Ranges of one thread nest, but need not: one that is over may lie below one that is not.
    for (std::size_t i = open_.size(); i > 0; --i)
      if ((*of_)[open_[i - 1]].end_ns >= ns) return &(*of_)[open_[i - 1]];
    return nullptr;
  }

 private:
  const RangesOfThreads& ranges_;
  const std::vector<NamedRange> none_;
  const std::vector<NamedRange>* of_ = nullptr;
  std::int64_t thread_ = 0;
  std::size_t next_ = 0;
  std::vector<std::size_t> open_;
};

// Correlations are numbered by each process for itself: with several processes a kernel belongs to the launch of its
// own. Whether kernels say of which process they are; an error where they would have to and do not.
Result<bool> kernels_tell_processes(Database& database, const std::string& path) {
  auto column =
      database.prepare("SELECT 1 FROM pragma_table_info('CUPTI_ACTIVITY_KIND_KERNEL') WHERE name = 'globalPid'");
  if (!column) return Unexpected<Error>(column.error());
  const auto there = column->step();
  if (!there || *there) return there;
  auto several = database.prepare(
      "SELECT 1 FROM (SELECT min(globalTid >> 24) AS least, max(globalTid >> 24) AS most FROM "
      "CUPTI_ACTIVITY_KIND_RUNTIME) WHERE least < most");
  if (!several) return Unexpected<Error>(several.error());
  const auto found = several->step();
  if (!found) return Unexpected<Error>(found.error());
  if (*found)
    return fail(ErrorCode::malformed, "is of several processes, and its kernels do not say of which", path,
                "Export it again with a newer nsys, or trace one process.");
  return false;
}

}  // namespace

Result<layers::Recording> read_nsys(const std::string& path) {
  auto database = Database::open(path, SQLITE_OPEN_READONLY, path);
  if (!database) return Unexpected<Error>(database.error());
  for (const char* table : {"CUPTI_ACTIVITY_KIND_KERNEL", "CUPTI_ACTIVITY_KIND_RUNTIME", "StringIds"}) {
    const auto there = has_table(*database, table);
    if (!there) return Unexpected<Error>(there.error());
    if (!*there)
      return fail(ErrorCode::malformed, std::string("has no table ") + table, path,
                  "A trace is made by `nsys profile --trace=cuda,nvtx` and `nsys export --type sqlite`.");
  }
  const auto ranges = ranges_of(*database);
  if (!ranges) return Unexpected<Error>(ranges.error());
  const auto processes = kernels_tell_processes(*database, path);
  if (!processes) return Unexpected<Error>(processes.error());
  auto rows = database->prepare(
      std::string("SELECT coalesce(r.globalTid, 0), coalesce(r.start, k.start), k.start, k.end, coalesce(s.value, '') "
                  "FROM CUPTI_ACTIVITY_KIND_KERNEL k LEFT JOIN CUPTI_ACTIVITY_KIND_RUNTIME r ON r.correlationId = "
                  "k.correlationId ") +
      (*processes ? "AND (r.globalTid >> 24) = (k.globalPid >> 24) " : "") +
      "LEFT JOIN StringIds s ON s.id = k.shortName ORDER BY 1, 2, 3");
  if (!rows) return Unexpected<Error>(rows.error());
  Innermost innermost(*ranges);
  std::vector<layers::TracedKernel> kernels;
  while (true) {
    const auto row = rows->step();
    if (!row) return Unexpected<Error>(row.error());
    if (!*row) break;
    if (kernels.size() == most_kernels) return fail(ErrorCode::full, "more than 20 million kernels", path);
    const NamedRange* range = innermost.at(rows->integer(0), rows->integer(1));
    kernels.push_back({rows->text(4), range == nullptr ? std::string() : range->text,
                       range == nullptr ? 0 : range->number, rows->integer(2), rows->integer(3)});
  }
  std::ranges::sort(kernels, {}, &layers::TracedKernel::begin_ns);
  return layers::recording_of_kernels(kernels);
}

}  // namespace prony::app
