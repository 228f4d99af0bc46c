// `prony layers` as the program has it: one network, or a campaign of many, which runs as studies do.
#include <CLI/CLI.hpp>

#include <memory>

#include "app/common.hpp"
#include "app/study_campaign.hpp"

namespace prony::app {

std::function<int(const CommandWords&)> add_layers_and_campaigns(CLI::App& command) {
  struct CampaignWords {
    std::string file, folder;
  };
  auto one_network = add_layers(command);
  auto words = std::make_shared<CampaignWords>();
  // Shown by their example at the end of --help, which fits a screen.
  command.add_option("--campaign", words->file, "Many networks, as this file says (docs/predict.md), into -o")
      ->type_name("FILE")
      ->group("");
  command.add_option("-o,--folder", words->folder, "Of the campaign: its Runs and the data set made of them")
      ->type_name("DIR")
      ->group("");
  return [one_network, words, &command](const CommandWords& worker) {
    if (words->file.empty() && words->folder.empty()) return one_network(worker);
    if (words->file.empty() || words->folder.empty())
      return failed({ErrorCode::usage, "a campaign needs its file and its folder", "layers --campaign",
                     "prony layers --campaign models.toml -o FOLDER"});
    if (command.count("MODEL") > 0)
      return failed({ErrorCode::usage, "the campaign's file names its models", "layers --campaign",
                     "Leave the model on the command line out."});
    return run_campaign(words->file, words->folder, command.count("--quiet") > 0);
  };
}

}  // namespace prony::app
