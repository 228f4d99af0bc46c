#include <algorithm>

#include "base/text.hpp"
#include "model/share.hpp"
#include "reports/figures.hpp"
#include "reports/text_layout.hpp"
#include "reports/text_parts.hpp"

namespace prony::text {

namespace {

using figures::joules_or_none;
using figures::none;
using Row = std::vector<std::string>;

std::string share_cell(const std::optional<double>& share) {
  return share ? figures::percent(*share) : std::string(none);
}

std::string watts_cell(const Summary& summary, const std::optional<Estimate>& charged) {
  const double window_s = summary.window.length().seconds().value();
  if (!charged || window_s <= 0) return std::string(none);
  return figures::watts(charged->value / window_s) + std::string(figures::sign(summary.headline_mark()));
}

// Of what the targets, the others and Prony were charged together.
std::optional<double> share_of_charged(const Summary& summary, const std::optional<Estimate>& part) {
  double sum = 0;
  for (const TargetRow& row : summary.targets) sum += row.charged ? row.charged->value : 0;
  for (const auto* party : {&summary.split.foreign, &summary.split.prony})
    if (*party) sum += (*party)->value;
  return part ? share_in(part->value, sum) : std::nullopt;
}

std::string channel_names(const Summary& summary, const std::vector<std::size_t>& rows) {
  std::string names;
  for (const std::size_t row : rows) names += (names.empty() ? "" : " + ") + domain_name(summary, summary.energy[row]);
  return names;
}

// Why a channel's energy is nobody's, in the ledger's own words.
std::string why_not_split(const Summary& summary, const EnergyRow& row) {
  for (const TargetRow& target : summary.targets)
    for (const TargetEnergy& energy : row.ledger.targets)
      if (energy.target == target.target.name)
        for (const auto& [field, reason] : energy.absent)
          if (field.starts_with("charged")) return reason;
  for (const auto& [field, reason] : row.ledger.absent)
    if (field == "target" || field == "gross") return reason;
  return "it could not be split";
}

// "web was gone", "web: killed by signal 11 (SIGSEGV)": how a process that was watched ended is never a coming.
std::string change_words(const Event& event) {
  const std::string subject = printable(event.subject, 40);
  if (event.kind == "target-appeared") return subject + " was there";
  if (event.kind == "target-gone") return subject + " was gone";
  return subject + ": " + printable(event.text, 120);
}

std::string process_name(const ProcessRow& row) {
  return row.process.name.empty() ? "number " + std::to_string(row.process.number) : printable(row.process.name, 24);
}

}  // namespace

Part targets_table(const Summary& summary, const TextOptions& options) {
  const SplitSum& split = summary.split;
  const figures::Mark mark = summary.headline_mark();
  const bool baseline =
      std::ranges::any_of(summary.targets, [](const TargetRow& row) { return row.active.has_value(); });
  layout::TextTable table;
  table.columns = {{"target", false, 0, 0}, {"selector", false, 3, 20}, {"processes", true, 5, 0},
                   {"CPU", true, 2, 0},     {"charged", true, 0, 0},    {baseline ? "active" : "", true, 4, 0},
                   {"share", true, 1, 0},   {"mean", true, 6, 0}};
  for (const TargetRow& row : summary.targets)
    table.rows.push_back(Row{printable(row.target.name, 40), printable(row.target.selector, 60),
                             row.processes ? figures::count(*row.processes) : std::string(none),
                             row.cpu_s ? figures::seconds(*row.cpu_s) : std::string(none),
                             joules_or_none(row.charged, mark), baseline ? joules_or_none(row.active, mark) : "",
                             share_cell(row.share), watts_cell(summary, row.charged)});
  const auto party = [&](const char* name, const std::optional<Estimate>& joules, bool shared) {
    if (!joules) return;
    table.rows.push_back(Row{name, "", "", "", joules_or_none(joules, mark), "",
                             shared ? share_cell(share_of_charged(summary, joules)) : std::string(),
                             watts_cell(summary, joules)});
  };
  party("others", split.foreign, true);
  party("Prony", split.prony, true);
  party("idle", split.idle, false);
  if (split.unattributed && split.unattributed->value != 0) party("unattributed", split.unattributed, false);
  party("gross", split.gross, false);
  if (split.gross) {
    table.tones.assign(table.rows.size(), layout::Tone::plain);
    table.tones.back() = layout::Tone::strong;
  }
  Part part;
  part.text = table.render(options.width, options.colour, part.left_out);
  return part;
}

std::vector<std::string> target_notes(const Summary& summary) {
  std::vector<std::string> out;
  if (!summary.split.rows.empty())
    out.push_back("of " + channel_names(summary, summary.split.rows) + "; targets, others, Prony, " +
                  (summary.split.idle ? "idle, " : "") + "unattributed add up to gross");
  for (const std::size_t row : summary.split.left_out)
    out.push_back("not " + domain_name(summary, summary.energy[row]) + ": " +
                  printable(why_not_split(summary, summary.energy[row]), 200));
  const bool baseline =
      std::ranges::any_of(summary.energy, [](const EnergyRow& row) { return row.ledger.active.has_value(); });
  if (baseline)
    out.push_back("--idle-to " + std::string(to_string(summary.idle_to)) +
                  (summary.idle_to == IdleTo::none    ? ": idle stays apart"
                   : summary.idle_to == IdleTo::share ? ": idle went to all, by share of the active part"
                                                      : ": idle went to the targets alone"));
  constexpr std::size_t most = 6;
  std::size_t told = 0;
  for (const Event& event : summary.events)
    if (event.kind.starts_with("target-") && event.at > summary.window.begin &&
        (event.at < summary.window.end || event.kind == "target-ended") && ++told <= most)
      out.push_back(change_words(event) + " at " +
                    figures::seconds((event.at - summary.window.begin).seconds().value()));
  if (told > most) out.push_back("and " + std::to_string(told - most) + " more comings and goings");
  return out;
}

Part processes_table(const Summary& summary, const TextOptions& options) {
  Part part;
  if (summary.processes.empty()) return part;
  const figures::Mark mark = summary.headline_mark();
  layout::TextTable table;
  table.columns = {{"process", false, 0, 9}, {"pid", true, 3, 0},     {"target", false, 4, 6},
                   {"CPU", true, 2, 0},      {"charged", true, 0, 0}, {"share", true, 1, 0}};
  const std::size_t shown = std::min(options.top, summary.processes.size());
  for (std::size_t i = 0; i < shown; ++i) {
    const ProcessRow& row = summary.processes[i];
    table.rows.push_back(
        Row{process_name(row), row.process.pid > 0 ? std::to_string(row.process.pid) : std::string(none),
            row.process.target.empty() ? "others" : printable(row.process.target, 40), figures::seconds(row.cpu_s),
            joules_or_none(row.charged, mark), share_cell(share_of_charged(summary, row.charged))});
  }
  std::optional<Estimate> more;
  double more_cpu_s = 0;
  for (std::size_t i = shown; i < summary.processes.size(); ++i) {
    const ProcessRow& row = summary.processes[i];
    more = more ? *more + row.charged : row.charged;
    more_cpu_s += row.cpu_s;
  }
  if (more)
    table.rows.push_back(Row{"and " + figures::count(static_cast<double>(summary.processes.size() - shown)) + " more",
                             "", "", figures::seconds(more_cpu_s), joules_or_none(more, mark),
                             share_cell(share_of_charged(summary, more))});
  for (const UnseenRow& row : summary.unseen)
    table.rows.push_back(Row{"not seen one by one", "", row.target.empty() ? "others" : printable(row.target, 40), "",
                             joules_or_none(row.charged, mark), share_cell(share_of_charged(summary, row.charged))});
  part.text = table.render(options.width, options.colour, part.left_out);
  return part;
}

}  // namespace prony::text
