// What there is to loop of a network's layers, and what Runs of loops have told of it: the plan is made from the Run of
// the times and the engine's graph alone, so that whoever goes on after a kill, or prints again, has the same one.
// Energies are those of the Runs' phases. Thread promise: one thread. Errors: a folder without what belongs there, a
// layer that the network does not have. Units: seconds, joules, watts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "complexity/onnx_cut.hpp"
#include "layers/identifiability.hpp"
#include "model/charge.hpp"
#include "reports/summary.hpp"

namespace prony::app {

// Of one layer, or of a cut of the graph from one to another.
struct LoopTarget {
  std::string name, op, kind;
  double in_network_s = 0;         // by the profiler, mean
  std::vector<std::size_t> nodes;  // of the engine's graph, rising; empty: `absent` says why
  std::string absent;
};

struct LoopPart {
  std::string id;
  complexity::OnnxCut cut;
  double expected_s = 0;  // of one run
};

struct LoopPlan {
  std::string times_path, engine_path;
  nlohmann::ordered_json report;  // network_report() of the times
  layers::PowerSensor sensor;
  std::vector<std::string> channels;  // of the headline
  std::string origin;
  layers::Identifiability identifiability;
  std::vector<LoopTarget> targets;
  complexity::OnnxModel engine;
  std::vector<LoopPart> parts;
  double loop_s = 0;  // of each, at first
  bool isolate = false, ablate = false;
};
// `which`: names or FROM..TO; empty: each. `windows` 0: as many as 3 % take, half a second at the least.
[[nodiscard]] Result<LoopPlan> plan_loops(const std::string& folder, bool isolate, bool ablate,
                                          const std::vector<std::string>& which, std::int64_t windows);

[[nodiscard]] std::string alone_id(const LoopTarget& target);
// Of what comes before a node of the engine's graph, up to it; the whole network is "network".
[[nodiscard]] std::string upto_id(const LoopPlan& plan, std::size_t nodes);
inline constexpr const char* network_loop = "network";

// What one loop told. `gross_w` absent: `absent` says why, `needed_s` how long it would have to be.
struct LoopFigures {
  double run_s = 0;  // one run, from the begin of one to that of the next
  std::int64_t runs = 0;
  std::optional<Estimate> gross_w, idle_w;
  std::optional<double> needed_s;
  std::string absent;
  [[nodiscard]] bool told() const { return gross_w && idle_w; }
};
struct LoopResults {
  std::map<std::string, LoopFigures> loops;  // by id
  std::vector<std::string> runs;             // paths, in order
  std::optional<double> foreign_share;       // the largest, of the CPU time used meanwhile
  std::string simulated;                     // a simulated machine's name
};
[[nodiscard]] Result<LoopResults> read_loops(const std::string& folder);

}  // namespace prony::app
