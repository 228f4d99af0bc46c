#include "exported_times.hpp"

#include <cmath>
#include <initializer_list>
#include <nlohmann/json.hpp>

namespace prony_engine {

namespace {

using nlohmann::json;

double first_of(const json& one, std::initializer_list<const char*> keys) {
  for (const char* key : keys)
    if (const auto found = one.find(key); found != one.end() && found->is_number()) return found->get<double>();
  return std::nan("");
}

}  // namespace

ExportedTimes read_exported_times(std::istream& in) {
  ExportedTimes times;
  if (!in) {
    times.problem = "it wrote no times";
    return times;
  }
  const json all = json::parse(in, nullptr, false);
  double begin = std::nan(""), end = std::nan("");
  for (const json& one : all.is_array() ? all : json::array()) {
    if (!one.is_object()) continue;
    const double latency = first_of(one, {"latencyMs", "computeMs"});
    const double from = first_of(one, {"startH2dMs", "startInMs", "startComputeMs"});
    const double to = first_of(one, {"endD2hMs", "endOutMs", "endComputeMs"});
    if (!(latency >= 0) || !(latency < 1e10)) continue;
    times.latencies_ns.push_back(std::llround(latency * 1e6));
    if (std::isnan(begin)) begin = from;
    end = to;
  }
  if (times.latencies_ns.empty()) times.problem = "the times that it wrote are none";
  const double whole = end - begin;
  if (whole > 0 && whole < 1e10) times.whole_ns = std::llround(whole * 1e6);
  return times;
}

}  // namespace prony_engine
