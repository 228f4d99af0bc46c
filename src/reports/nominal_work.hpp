// Nominal core-seconds: the CPU time that the same work would have taken at the nominal clock, of the machine and of
// each target, and what of it went into a token and a joule. From a Summary alone; pure; any thread. Where cycles were
// counted they are divided by the nominal clock (derived); else CPU time is multiplied by the machine's mean clock,
// which is not the clock at which that very work ran (modelled). Definitions: docs/metrics.md.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "reports/summary.hpp"

namespace prony {

struct NominalWork {
  std::string of;  // "machine", or a target's name
  double core_s = 0;
  Origin origin = Origin::modelled;
  std::optional<double> share_of_machine;    // of all its cores at the nominal clock over the window; turbo: may be > 1
  std::optional<double> s_per_output_token;  // the machine's, and that of the target which requests are charged from
  std::optional<double> core_s_per_gross_j;  // the machine's: over the headline's joules
  std::optional<double> core_s_per_charged_j;  // a target's: over what it is charged
};
struct NominalWorks {
  std::optional<double> clock_hz;
  std::string clock_source;  // the file that told it
  std::vector<NominalWork> rows;
  std::vector<Unavailable> absent;
};
[[nodiscard]] NominalWorks nominal_work(const Summary& summary);
[[nodiscard]] nlohmann::ordered_json to_json(const NominalWorks& works);
// Items of the labelled line "CPU work"; empty where nothing can be told.
[[nodiscard]] std::vector<std::string> nominal_work_words(const Summary& summary);

}  // namespace prony
