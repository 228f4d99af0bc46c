// Campaign: many networks, each at several batch sizes, resolutions and numbers of threads, as one file says; what a
// data set of layers is made of. Pure; plain values. Units: nanoseconds, GFLOP, degrees Celsius. Errors: usage and
// malformed, each with "FILE:LINE" and the nearest name.
//
//   [campaign]   batches, resolutions, threads, cycles, order, seed, runs, warmup, most-gflop, idle, rest, limits;
//                interval, sensors, sysfs: of the meter, as `prony layers` takes them;
//                models = ["resnet18", "own.onnx"]: architectures of `prony synth onnx`, or files
//   [[models]]   arch or file; name, batches, resolutions, threads, input-shape: where they differ from the campaign's
//   [gate]       wait before each run until the machine is as cool as told
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "study/plan.hpp"
#include "study/value.hpp"

namespace prony::study {

struct CampaignModel {
  std::string name;                // of the network in the data set; all its configurations have it
  std::string architecture, file;  // one of them
  std::vector<std::int64_t> batches, resolutions, threads;  // resolutions: of architectures; empty: the published one
  std::vector<std::string> shapes;                          // --input-shape
  bool batches_told = false;  // by itself, not by the campaign: a file whose batch is fixed then refuses
  std::size_t line = 0;
};

struct Campaign {
  std::string name;
  std::vector<CampaignModel> models;
  Execution execution;  // shuffled, unless told
  std::size_t runs = 20, warm_up = 3;
  std::size_t most_gflop = 0;    // of one series; what has more FLOP runs less often, three times at least. 0: no limit
  std::int64_t idle_ns = 0;      // the idle machine is measured so long before and after each run
  std::int64_t interval_ns = 0;  // of the meter's ticks; 0: as the meter has it
  std::string sensors, sysfs;    // "": all, of this machine
  bool keep_models = false;      // those that were made for it
  // What a configuration took: the middle of its cycles, or the least of them, where others work on the machine, who
  // only ever add to it. Either way each is a median over runs.
  bool least_of_cycles = false;
};

inline constexpr std::size_t fewest_campaign_runs = 3;

[[nodiscard]] Result<Campaign> read_campaign(const Value& file, const std::string& file_name,
                                             std::span<const std::string_view> architectures);
// How often a network of that many FLOP runs.
[[nodiscard]] std::size_t runs_of(const Campaign& campaign, double flop) noexcept;

// One network at one batch size, resolution and number of threads: a variant of the plan.
struct Configuration {
  std::size_t model = 0;                                // place in Campaign::models
  std::int64_t batch = 1, resolution = 0, threads = 1;  // resolution 0: the file's own
  bool open_batch = true;                               // false: the file has this batch, and nobody says it again
  std::string path;                                     // of the ONNX file
  double flop = 0;
  [[nodiscard]] std::string name() const;  // of the configuration in the data set: "b4-r128-t1"
};
[[nodiscard]] std::vector<Configuration> configurations(const Campaign& campaign);
// The plan whose runs they are, in that order of variants.
[[nodiscard]] Plan campaign_plan(const Campaign& campaign, const std::vector<Configuration>& all);

}  // namespace prony::study
