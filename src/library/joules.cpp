#include "library/joules.hpp"

#include <algorithm>

#include "reports/rows_table.hpp"
#include "reports/was_read.hpp"

namespace prony::library {

namespace {

using Reasons = std::vector<std::pair<std::string, std::string>>;

// `field` as the ledger calls it; some of its reasons have the unit in their names.
std::string reason_in(const Reasons& reasons, const std::string& field, const std::string& otherwise) {
  const auto found = std::ranges::find_if(
      reasons, [&](const auto& reason) { return reason.first == field || reason.first == field + "_j"; });
  return found == reasons.end() ? otherwise : found->second;
}

class Rows {
 public:
  Rows(const EnergyRow& of, std::vector<JoulesRow>& rows) : of_(of), rows_(rows) {}

  JoulesRow& add(const char* party, const std::optional<Estimate>& joules, const Reasons& reasons, const char* field,
                 const std::string& otherwise) {
    JoulesRow row;
    row.channel = of_.channel.name;
    row.domain = of_.channel.domain;
    row.origin = std::string(to_string(of_.channel.origin));
    row.party = party;
    row.joules = joules;
    row.headline = of_.ledger.headline;
    row.resolvable = of_.ledger.resolvable;
    if (joules)
      row.kind = std::string(to_string(joules->kind));
    else
      row.absent = reason_in(reasons, field, otherwise);
    rows_.push_back(std::move(row));
    return rows_.back();
  }

 private:
  const EnergyRow& of_;
  std::vector<JoulesRow>& rows_;
};

}  // namespace

std::vector<JoulesRow> joules_of(const Summary& summary) {
  std::vector<JoulesRow> rows;
  const std::string unsplit = summary.cpu_split.empty() ? "it could not be split" : summary.cpu_split;
  const std::string no_baseline = "no baseline was measured";
  for (const EnergyRow& row : summary.energy) {
    const ChannelLedger& ledger = row.ledger;
    Rows of(row, rows);
    of.add("recorded", was_read(ledger) ? std::optional(ledger.recorded) : std::nullopt, ledger.absent, "recorded",
           "nothing was read");
    of.add("gross", ledger.gross, ledger.absent, "gross",
           ledger.resolvable ? "nothing was read" : "the window is too short for this sensor");
    of.add("active", ledger.active, ledger.absent, "active", no_baseline);
    of.add("marginal", ledger.marginal, ledger.absent, "marginal", no_baseline);
    if (ledger.targets.empty()) of.add("target", ledger.target, ledger.absent, "target", unsplit);
    for (const TargetEnergy& target : ledger.targets)
      of.add("target", target.charged, target.absent, "charged", reason_in(ledger.absent, "target", unsplit)).target =
          target.target;
    of.add("foreign", ledger.foreign, ledger.absent, "foreign", unsplit);
    of.add("prony", ledger.prony, ledger.absent, "prony", unsplit);
    of.add("idle", ledger.idle, ledger.absent, "idle", no_baseline);
    of.add("unattributed", was_read(ledger) ? std::optional(ledger.unattributed) : std::nullopt, ledger.absent,
           "unattributed", was_read(ledger) ? unsplit : "never read");
  }
  return rows;
}

std::optional<JoulesRow> headline_of(const Summary& summary) {
  if (summary.energy.empty()) return std::nullopt;
  JoulesRow row;
  row.channel = "headline";
  row.party = "gross";
  row.headline = true;
  row.joules = summary.headline_j;
  row.origin = std::string(to_string(summary.headline_origin()));
  if (row.joules) {
    row.kind = std::string(to_string(row.joules->kind));
  } else if (std::ranges::none_of(summary.energy, [](const EnergyRow& e) { return was_read(e.ledger); })) {
    row.resolvable = false;
    row.absent = summary.state == RunState::recording
                     ? "no reading is in the Run yet: it lags by up to a second while it is recorded"
                     : "none of its channels was ever read";
  } else {
    row.resolvable = std::ranges::all_of(summary.energy,
                                         [](const EnergyRow& e) { return !e.ledger.headline || e.ledger.resolvable; });
    row.absent =
        row.resolvable ? "a domain of it has no joules in this window" : "the window is too short for its sensors";
  }
  return row;
}

std::unique_ptr<Table> make_parties_table(const Summary& summary) {
  auto table = std::make_unique<RowsTable>();
  table->header = {{"channel", ""},
                   {"domain", ""},
                   {"party", "recorded, gross, active, marginal, target, foreign, prony, idle or unattributed"},
                   {"target", "of party target"},
                   {"origin", "measured, derived or modelled"},
                   {"value_j", ""},
                   {"low_j", ""},
                   {"high_j", ""},
                   {"kind", "what low and high promise"},
                   {"headline", "1: the channel is one of those that add up to the machine's joules"},
                   {"absent", "why there is no value"}};
  const auto text = [](const std::string& words) { return words.empty() ? Cell{} : Cell{words}; };
  for (const JoulesRow& row : joules_of(summary)) {
    const auto part = [&](double Estimate::* field) { return row.joules ? Cell{(*row.joules).*field} : Cell{}; };
    table->rows.push_back({text(row.channel), text(row.domain), text(row.party), text(row.target.value_or("")),
                           text(row.origin), part(&Estimate::value), part(&Estimate::low), part(&Estimate::high),
                           text(row.kind), std::int64_t{row.headline ? 1 : 0}, text(row.absent)});
  }
  return table;
}

}  // namespace prony::library
