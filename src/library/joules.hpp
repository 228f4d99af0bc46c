// The joules of a Summary, one row a channel and party: what prony_summary_joules() tells and the table "parties" has.
// Pure; any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/table.hpp"
#include "reports/summary.hpp"

namespace prony::library {

struct JoulesRow {
  std::string channel, domain, origin, party;
  std::optional<std::string> target;
  std::optional<Estimate> joules;  // absent: `absent` says why
  std::string kind, absent;
  bool headline = false, resolvable = true;
};

[[nodiscard]] std::vector<JoulesRow> joules_of(const Summary& summary);
// The sum of the headline channels' gross joules; nullopt: no channel gives joules.
[[nodiscard]] std::optional<JoulesRow> headline_of(const Summary& summary);
[[nodiscard]] std::unique_ptr<Table> make_parties_table(const Summary& summary);

}  // namespace prony::library
