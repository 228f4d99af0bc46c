// What the handles of prony/meter.h are inside.
#pragma once

#include <prony/meter.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "library/joules.hpp"
#include "reports/summary.hpp"
#include "store/run.hpp"

struct prony_run {
  std::unique_ptr<prony::Run> run;
  std::string path;
  std::vector<std::optional<std::string>> part_of;  // of each channel: the name of the one that it is inside of
};

struct prony_summary {
  prony::Summary summary;
  std::vector<prony::library::JoulesRow> rows;
  std::optional<prony::library::JoulesRow> headline;
  std::string json;  // made when it is first asked for
};

namespace prony::library {

[[nodiscard]] Result<std::unique_ptr<prony_run>> open_run(const std::string& path);
[[nodiscard]] Result<std::unique_ptr<prony_summary>> make_summary(const Run& run);
[[nodiscard]] Result<void> make_arrow_table(const Run& run, const std::string& name, ArrowSchema& schema,
                                            ArrowArray& array);

}  // namespace prony::library
