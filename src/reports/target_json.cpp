#include "reports/target_json.hpp"

#include "reports/json_put.hpp"

namespace prony {

namespace {

using Json = nlohmann::ordered_json;

void put_joules(Json& out, const std::string& name, const std::optional<Estimate>& estimate) {
  if (!estimate) return;
  out[name + "_j"] = estimate->value;
  out[name + "_low_j"] = estimate->low;
  out[name + "_high_j"] = estimate->high;
}

Json target_json(const Summary& summary, const TargetRow& row) {
  Json out{{"name", row.target.name}, {"selector", row.target.selector}};
  put(out, "processes", row.processes);
  if (!row.relay.empty()) out["relay"] = row.relay;
  put(out, "cpu_s", row.cpu_s);
  put(out, "rss_peak_bytes", row.rss_peak_bytes);
  put_joules(out, "charged", row.charged);
  put_joules(out, "active", row.active);
  put(out, "share", row.share);
  put(out, "mean_w", row.mean_w);
  out["energy"] = Json::array();
  for (const TargetRow::Part& part : row.energy) {
    Json one{{"channel", summary.energy[part.row].channel.name}};
    put_joules(one, "charged", part.energy.charged);
    put_joules(one, "active", part.energy.active);
    put(one, "share", part.energy.share);
    if (part.energy.charged) one["kind"] = std::string(to_string(part.energy.charged->kind));
    out["energy"].push_back(std::move(one));
  }
  return out;
}

Json process_json(const ProcessRow& row) {
  Json out{{"pid", row.process.pid}};
  if (row.process.start_ticks) out["start_ticks"] = *row.process.start_ticks;
  out.update({{"name", row.process.name}, {"target", row.process.target}, {"cpu_s", row.cpu_s}});
  put_joules(out, "charged", row.charged);
  return out;
}

}  // namespace

void put_targets(Json& out, const Summary& summary) {
  if (summary.cpu) {
    Json cpu{{"busy_s", summary.cpu->busy_s}, {"foreign_s", summary.cpu->foreign_s}};
    put(cpu, "foreign_share", summary.cpu->foreign_share);
    put(cpu, "prony_s", summary.cpu->prony_s);
    out["cpu"] = std::move(cpu);
  }
  if (summary.targets.empty()) return;
  out["idle_to"] = std::string(to_string(summary.idle_to));
  out["targets"] = Json::array();
  for (const TargetRow& row : summary.targets) out["targets"].push_back(target_json(summary, row));
  Json split{{"channels", Json::array()}, {"not_split", Json::array()}};
  for (const std::size_t row : summary.split.rows) split["channels"].push_back(summary.energy[row].channel.name);
  for (const std::size_t row : summary.split.left_out) split["not_split"].push_back(summary.energy[row].channel.name);
  put_joules(split, "gross", summary.split.gross);
  put_joules(split, "foreign", summary.split.foreign);
  put_joules(split, "prony", summary.split.prony);
  put_joules(split, "idle", summary.split.idle);
  put_joules(split, "unattributed", summary.split.unattributed);
  out["split"] = std::move(split);
  if (summary.processes.empty()) return;
  out["processes"] = Json::array();
  for (const ProcessRow& row : summary.processes) out["processes"].push_back(process_json(row));
  out["unseen"] = Json::array();
  for (const UnseenRow& row : summary.unseen) {
    Json one{{"target", row.target}};
    put_joules(one, "charged", row.charged);
    out["unseen"].push_back(std::move(one));
  }
}

}  // namespace prony
