// `prony layers --campaign FILE -o FOLDER`: many networks at many sizes, each run a fresh `prony layers`, kept as a
// study is (a kill loses nothing that is done; the same words go on), and put together into one data set that
// `prony predict train` reads. Thread promise: one thread, the main one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/study_folder.hpp"
#include "app/subcommand.hpp"
#include "base/result.hpp"
#include "model/network_layers.hpp"
#include "predict/dataset.hpp"
#include "study/campaign.hpp"

namespace prony::app {

// `prony layers` with its campaigns.
[[nodiscard]] std::function<int(const CommandWords&)> add_layers_and_campaigns(CLI::App& command);

// → exit code: 0 all done, 1 some runs failed or it was stopped, 128 + n by signal n, 125 Prony's own failure.
[[nodiscard]] int run_campaign(const std::string& file, const std::string& folder, bool quiet);

// A model file of the campaign, and where it came from.
struct CampaignFile {
  std::string path, sha256, made_by;  // made_by: the words of `prony synth onnx`; "": it was given
};

struct CampaignData {
  predict::Dataset dataset;
  std::vector<std::string> runs;  // Run files below the folder that it is made of
  std::size_t configurations = 0, failed_runs = 0;
  double time_in_rows = 0;                  // Σ of rows ÷ Σ of what the engine's nodes took, over all configurations
  double spread_median = 0, spread_90 = 0;  // of latencies of one configuration, a share; 0: one cycle only
};
// From the Runs that are done. `networks`: of each configuration, in the order of `all`.
[[nodiscard]] Result<CampaignData> campaign_data(const study::Campaign& campaign,
                                                 const std::vector<study::Configuration>& all,
                                                 const std::vector<NetworkLayers>& networks, const StudyFolder& folder,
                                                 const StudyManifest& manifest);

}  // namespace prony::app
