#include "reports/nominal_work.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "model/target.hpp"
#include "reports/json_put.hpp"
#include "reports/load_figures.hpp"

namespace prony {

namespace {

constexpr double least_counted = 0.95;  // of a target's CPU time, for its cycles to be told as all of them
constexpr std::string_view whole_machine = "machine";

std::optional<double> positive_number(const Summary& summary, std::string_view key) {
  const auto value = parse_finite(summary.fact(key));
  return value && *value > 0 ? value : std::nullopt;
}

// The processor's clock, mean over time; of policies their mean.
std::optional<double> mean_clock_hz(const Summary& summary) {
  double sum = 0, count = 0;
  for (const GaugeRow& row : summary.gauges) {
    const std::string& domain = row.channel.domain;
    if (row.channel.measure != Measure::frequency || row.ledger.readings == 0 || domain.starts_with("gpu") ||
        domain == "cpus-lowest" || domain == "cpus-highest")
      continue;
    sum += row.ledger.mean;
    ++count;
  }
  return count > 0 && sum > 0 ? std::optional(sum / count) : std::nullopt;
}

std::optional<double> increase_of(const Summary& summary, std::string_view domain, const std::string& target) {
  for (const GaugeRow& row : summary.gauges) {
    if (row.channel.domain != domain || row.channel.kind != ChannelKind::counter || !row.ledger.increase) continue;
    const bool host = row.channel.scope == Scope::host && target == whole_machine;
    const std::string_view whose = row.channel.target.empty() ? command_target : std::string_view(row.channel.target);
    const bool own = row.channel.scope == Scope::target && target != whole_machine && whose == target;
    if ((host || own) && row.ledger.gaps == 0) return row.ledger.increase;
  }
  return std::nullopt;
}

struct Clocks {
  double nominal_hz = 0;
  std::optional<double> mean_hz;
};

std::optional<NominalWork> nominal_of(const Summary& summary, const std::string& of, double cpu_s,
                                      const Clocks& clocks) {
  NominalWork work;
  work.of = of;
  const auto cycles = increase_of(summary, "cycles", of);
  const auto counted_s = of == whole_machine ? std::optional(cpu_s) : increase_of(summary, "counted", of);
  if (cycles && counted_s && *counted_s >= least_counted * cpu_s) {
    work.core_s = *cycles / clocks.nominal_hz;
    work.origin = Origin::derived;
  } else if (clocks.mean_hz) {
    work.core_s = cpu_s * *clocks.mean_hz / clocks.nominal_hz;
  } else {
    return std::nullopt;
  }
  const auto cpus = positive_number(summary, "machine.cpus");
  const double window_s = summary.window.length().seconds().value();
  if (cpus && window_s > 0) work.share_of_machine = work.core_s / (*cpus * window_s);
  return work;
}

double output_tokens(const Summary& summary) {
  double sum = 0;
  for (const RequestRow& row : summary.requests)
    if (end_of(row) == RequestEnd::ok) sum += static_cast<double>(row.output_tokens.value_or(0));
  return sum;
}

std::optional<double> charged_j(const Summary& summary, const std::string& target) {
  const auto found = std::ranges::find(summary.targets, target, [](const TargetRow& row) { return row.target.name; });
  if (found != summary.targets.end()) return found->charged ? std::optional(found->charged->value) : std::nullopt;
  std::optional<double> sum;
  for (const EnergyRow& row : summary.energy) {
    if (!row.ledger.headline) continue;
    const auto part = std::ranges::find(row.ledger.targets, target, &TargetEnergy::target);
    if (part == row.ledger.targets.end() || !part->charged) return std::nullopt;
    sum = sum.value_or(0) + part->charged->value;
  }
  return sum;
}

void add_nominal(NominalWorks& all, const Summary& summary, const std::string& of, double cpu_s, const Clocks& clocks) {
  auto work = nominal_of(summary, of, cpu_s, clocks);
  if (!work) return (void)all.absent.push_back({of, "neither its cycles nor the machine's clock were recorded", {}});
  const bool machine = of == whole_machine;
  const std::string server = summary.fact("requests.target");
  const double tokens = output_tokens(summary);
  const bool asked = machine || of == (server.empty() ? std::string(command_target) : server);
  if (asked && tokens > 0) work->s_per_output_token = work->core_s / tokens;
  if (machine && summary.headline_j && summary.headline_j->value > 0)
    work->core_s_per_gross_j = work->core_s / summary.headline_j->value;
  if (const auto charged = machine ? std::nullopt : charged_j(summary, of); charged && *charged > 0)
    work->core_s_per_charged_j = work->core_s / *charged;
  all.rows.push_back(std::move(*work));
}

std::string words_of(const NominalWork& work) {
  std::string words = printable(work.of, 30) + " " + figures::significant(work.core_s, 4) + " nominal core-s";
  if (work.share_of_machine) words += ", " + figures::percent(*work.share_of_machine) + " of the machine";
  if (work.s_per_output_token) words += ", " + figures::seconds(*work.s_per_output_token) + " per out-token";
  if (work.core_s_per_gross_j) words += ", " + figures::significant(*work.core_s_per_gross_j, 3) + " s per gross J";
  if (work.core_s_per_charged_j)
    words += ", " + figures::significant(*work.core_s_per_charged_j, 3) + " s per charged J";
  return words;
}

}  // namespace

NominalWorks nominal_work(const Summary& summary) {
  NominalWorks all;
  all.clock_hz = positive_number(summary, "machine.nominal_clock_hz");
  all.clock_source = summary.fact("machine.nominal_clock_source");
  if (!summary.cpu)
    return all.absent.push_back({"nominal_work", "no CPU time of the whole machine was recorded", {}}), all;
  if (!all.clock_hz) {
    all.absent.push_back({"nominal_work", "the machine tells no nominal clock, or its cores have several", {}});
    return all;
  }
  const Clocks clocks{*all.clock_hz, mean_clock_hz(summary)};
  add_nominal(all, summary, std::string(whole_machine), summary.cpu->busy_s, clocks);
  for (const CpuUse::OfTarget& target : summary.cpu->targets)
    if (target.cpu_s) add_nominal(all, summary, target.target, *target.cpu_s, clocks);
  return all;
}

nlohmann::ordered_json to_json(const NominalWorks& works) {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  put(out, "nominal_clock_hz", works.clock_hz);
  put(out, "nominal_clock_source", works.clock_source);
  out["rows"] = nlohmann::ordered_json::array();
  for (const NominalWork& work : works.rows) {
    nlohmann::ordered_json one{
        {"of", work.of}, {"core_s", work.core_s}, {"origin", std::string(to_string(work.origin))}};
    put(one, "share_of_machine", work.share_of_machine);
    put(one, "core_s_per_output_token", work.s_per_output_token);
    put(one, "core_s_per_gross_j", work.core_s_per_gross_j);
    put(one, "core_s_per_charged_j", work.core_s_per_charged_j);
    out["rows"].push_back(std::move(one));
  }
  out["unavailable"] = nlohmann::ordered_json::array();
  for (const Unavailable& one : works.absent)
    out["unavailable"].push_back({{"name", one.subject}, {"reason", one.reason}});
  return out;
}

std::vector<std::string> nominal_work_words(const Summary& summary) {
  const NominalWorks all = nominal_work(summary);
  std::vector<std::string> words;
  bool modelled = false;
  for (const NominalWork& work : all.rows) {
    words.push_back(words_of(work));
    modelled = modelled || work.origin == Origin::modelled;
  }
  if (words.empty()) return words;
  words.push_back(std::string(modelled ? "modelled: CPU time at the machine's mean clock" : "derived: cycles") +
                  " over " + figures::hertz(*all.clock_hz) + " (" + printable(all.clock_source, 40) + ")");
  return words;
}

}  // namespace prony
