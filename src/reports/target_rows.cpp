#include "reports/target_rows.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string_view>

#include "model/share.hpp"

namespace prony {

namespace {

void add(std::optional<Estimate>& sum, const std::optional<Estimate>& part) {
  if (part) sum = sum ? *sum + *part : *part;
}

// `whole` without its parts, which were made as shares of it: what is left is a share too, and as doubtful.
Estimate rest_of(const Estimate& whole, double parts) {
  constexpr double rounding = 1e-9;
  const double rest = whole.value - parts;
  if (whole.value == 0 || std::abs(rest) <= rounding * std::abs(whole.value)) return {0, 0, 0, whole.kind};
  const double low = rest * whole.low / whole.value, high = rest * whole.high / whole.value;
  return {rest, std::min(low, high), std::max(low, high), whole.kind};
}

const TargetEnergy* energy_of(const ChannelLedger& ledger, std::string_view target) {
  for (const TargetEnergy& energy : ledger.targets)
    if (energy.target == target) return &energy;
  return nullptr;
}

bool can_be_split(const ChannelLedger& ledger, const std::vector<TargetRow>& targets) {
  return ledger.gross && ledger.foreign && std::ranges::all_of(targets, [&](const TargetRow& row) {
           const TargetEnergy* energy = energy_of(ledger, row.target.name);
           return energy != nullptr && energy->charged.has_value();
         });
}

void gather_split(Summary& summary) {
  SplitSum& split = summary.split;
  for (std::size_t i = 0; i < summary.energy.size(); ++i) {
    const ChannelLedger& ledger = summary.energy[i].ledger;
    if (!ledger.headline) continue;
    if (!can_be_split(ledger, summary.targets)) {
      split.left_out.push_back(i);
      continue;
    }
    split.rows.push_back(i);
    add(split.gross, ledger.gross);
    add(split.foreign, ledger.foreign);
    add(split.prony, ledger.prony);
    add(split.idle, ledger.idle);
  }
}

void gather_use(const Summary& summary, TargetRow& row) {
  if (summary.cpu)
    for (const CpuUse::OfTarget& use : summary.cpu->targets)
      if (use.target == row.target.name) row.cpu_s = use.cpu_s;
  const std::string_view own = row.target.selector.empty() ? std::string_view() : row.target.name;
  for (const GaugeRow& gauge : summary.gauges)  // of the machine's memory: a GPU's is another domain
    if (gauge.channel.domain == "target" && gauge.channel.scope == Scope::target && gauge.channel.target == own &&
        gauge.channel.measure == Measure::memory && gauge.ledger.readings > 0)
      row.rss_peak_bytes = gauge.ledger.max;
}

void gather_joules(const Summary& summary, TargetRow& row) {
  for (std::size_t i = 0; i < summary.energy.size(); ++i)
    if (const TargetEnergy* energy = energy_of(summary.energy[i].ledger, row.target.name))
      row.energy.push_back({i, *energy});
  bool all_active = !summary.split.rows.empty();
  for (const TargetRow::Part& part : row.energy) {
    if (std::ranges::find(summary.split.rows, part.row) == summary.split.rows.end()) continue;
    add(row.charged, part.energy.charged);
    add(row.active, part.energy.active);
    all_active = all_active && part.energy.active.has_value();
  }
  if (!all_active) row.active.reset();
  const double window_s = summary.window.length().seconds().value();
  if (row.charged && window_s > 0) row.mean_w = row.charged->value / window_s;
}

// Of what the targets, the others and Prony were charged together.
void gather_shares(Summary& summary) {
  double parties = 0;
  for (const TargetRow& row : summary.targets) parties += row.charged ? row.charged->value : 0;
  for (const auto* party : {&summary.split.foreign, &summary.split.prony})
    if (*party) parties += (*party)->value;
  for (TargetRow& row : summary.targets)
    if (row.charged) row.share = share_in(row.charged->value, parties);
}

void gather_rest(Summary& summary) {
  SplitSum& split = summary.split;
  if (!split.gross) return;
  double parts = 0;
  for (const TargetRow& row : summary.targets) parts += row.charged ? row.charged->value : 0;
  for (const auto* party : {&split.foreign, &split.prony, &split.idle})
    if (*party) parts += (*party)->value;
  split.unattributed = rest_of(*split.gross, parts);
}

void gather_processes(const Run& run, Summary& summary) {
  std::map<std::uint32_t, ProcessRow> rows;
  for (const std::size_t i : summary.split.rows)
    for (const ProcessEnergy& energy : summary.energy[i].ledger.processes) {
      const auto [found, fresh] = rows.try_emplace(energy.process);
      found->second.charged = fresh ? energy.charged : found->second.charged + energy.charged;
      found->second.cpu_s = energy.cpu_s;  // the same in every channel
      found->second.process.number = energy.process;
    }
  if (rows.empty()) return;
  for (const ProcessRecord& record : run.processes())
    if (const auto found = rows.find(record.number); record.number != 0 && found != rows.end())
      found->second.process = record;
  for (auto& [number, row] : rows) summary.processes.push_back(std::move(row));
  std::ranges::sort(summary.processes, [](const ProcessRow& a, const ProcessRow& b) {
    if (a.charged.value != b.charged.value) return a.charged.value > b.charged.value;
    return a.process.number < b.process.number;
  });
  std::optional<Estimate> others;
  for (const TargetRow& row : summary.targets) {
    std::optional<Estimate> unseen;
    for (const TargetRow::Part& part : row.energy)
      if (std::ranges::find(summary.split.rows, part.row) != summary.split.rows.end())
        add(unseen, part.energy.unfollowed);
    if (unseen) summary.unseen.push_back({row.target.name, *unseen});
  }
  for (const std::size_t row : summary.split.rows) add(others, summary.energy[row].ledger.foreign_unfollowed);
  if (others) summary.unseen.push_back({"", *others});
}

// Of whom no process was seen: that it used nothing is not known. What it may have used is in `foreign`.
void leave_out_the_unseen(const Run& run, TargetRow& row) {
  if (row.target.selector.empty() || row.processes.value_or(0) > 0) return;
  const auto& told = run.manifest().unavailable;
  const auto why = std::ranges::find(told, "target." + row.target.name, &Unavailable::subject);
  if (why == told.end()) return;
  for (auto* estimate : {&row.charged, &row.active}) estimate->reset();
  for (auto* number : {&row.cpu_s, &row.rss_peak_bytes, &row.share, &row.mean_w}) number->reset();
  for (TargetRow::Part& part : row.energy) {
    for (auto* estimate : {&part.energy.charged, &part.energy.active, &part.energy.unfollowed}) estimate->reset();
    part.energy.share.reset();
    for (const char* field : {"charged", "active", "share"}) part.energy.absent.emplace_back(field, why->reason);
  }
}

// Who listens on the port that was asked may be another than who answers. Names as in /proc/PID/comm.
constexpr std::array<std::string_view, 8> relays = {"prony-proxy", "docker-proxy", "rootlessport", "nginx",
                                                    "envoy",       "haproxy",      "traefik",      "caddy"};

void find_relay(const Run& run, const Summary& summary, TargetRow& row) {
  if (row.target.selector.empty() || row.target.name != summary.fact("requests.target")) return;
  std::string name;
  for (const ProcessRecord& process : run.processes()) {
    if (process.target != row.target.name) continue;
    if (std::ranges::find(relays, process.name) == relays.end()) return;  // somebody works there
    name = process.name;
  }
  row.relay = name;
}

}  // namespace

void gather_targets(const Run& run, Summary& summary) {
  std::map<std::string, double> counts;
  for (const ProcessRecord& process : run.processes()) ++counts[process.target];
  for (const Target& target : run.targets()) {
    TargetRow row{target, {}, {}, {}, {}, {}, {}, {}, {}};
    row.processes = target.selector.empty() ? summary.process_total("processes") : counts[target.name];
    find_relay(run, summary, row);
    gather_use(summary, row);
    summary.targets.push_back(std::move(row));
  }
  if (summary.targets.empty()) return;
  gather_split(summary);
  for (TargetRow& row : summary.targets) gather_joules(summary, row);
  gather_shares(summary);
  gather_rest(summary);
  for (TargetRow& row : summary.targets) leave_out_the_unseen(run, row);
  gather_processes(run, summary);
}

}  // namespace prony
