#include "app/utilisation_options.hpp"

#include <CLI/CLI.hpp>
#include <array>
#include <iterator>
#include <string_view>

#include "app/machine_peaks.hpp"
#include "app/model_facts.hpp"
#include "app/model_source.hpp"
#include "base/text.hpp"

namespace prony::app {

namespace {

struct UtilisationRow {
  const char* name;
  const char* type;
  std::string UtilisationOptions::* field;
  const char* help;
};
constexpr std::array<UtilisationRow, 3> utilisation_rows{
    {{"model-file", "FILE", &UtilisationOptions::model_file,
      "What a server runs, as of `prony inspect`: for FLOP/s and bytes/s"},
     {"peak-flops", "RATE", &UtilisationOptions::peak_flops,
      "What computes it does at most (312T): for MFU; of this machine, see `prony inspect --measure-machine`"},
     {"peak-bandwidth", "RATE", &UtilisationOptions::peak_bandwidth,
      "What its memory reads at most (2TB/s): for MBU"}}};

}  // namespace

void add_utilisation_options(CLI::App& command, UtilisationOptions& options, Settings& settings) {
  for (const UtilisationRow& row : utilisation_rows) {
    CLI::Option* option = command.add_option("--" + std::string(row.name), options.*row.field, row.help);
    option->type_name(row.type)->group("");
    settings.watch(row.name, option, "");
  }
}

std::vector<std::string> utilisation_config_keys() {
  std::vector<std::string> keys;
  for (const UtilisationRow& row : utilisation_rows) keys.emplace_back(row.name);
  return keys;
}

std::string utilisation_help_text() {
  std::string text = "\nHow much of the machine was used (docs/metrics.md)\n\n";
  for (const UtilisationRow& row : utilisation_rows) {
    std::string left = "  --" + std::string(row.name) + " " + row.type;
    left.resize(std::max<std::size_t>(left.size() + 2, 24), ' ');
    text += left + row.help + "\n";
  }
  return text;
}

Result<void> take_model_facts(const UtilisationOptions& options, const std::string& known, std::vector<Fact>& facts) {
  const std::string& source = options.model_file.empty() ? known : options.model_file;
  std::string why = "where the model's file is was not said: --model-file names it";
  if (!source.empty()) {
    auto named = read_named_model(source);
    if (!named && !options.model_file.empty()) return Unexpected<Error>(named.error());
    std::vector<Fact> found = named ? model_facts(named->model) : std::vector<Fact>{};
    why = !named ? named.error().what : named->model.why_no_costs;
    if (why.empty() && !named->model.shape.weights_bytes) why = "its file has tensors of a type that is not known here";
    facts.insert(facts.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
  }
  if (!why.empty()) facts.push_back({"model.cost.absent", why, "prony"});
  return {};
}

Result<void> take_peaks(const UtilisationOptions& options, std::vector<Fact>& facts) {
  struct Peak {
    const std::string& text;
    const char *option, *unit, *fact;
  };
  for (const Peak& peak : {Peak{options.peak_flops, "--peak-flops", "FLOP/s", "peak.flop_per_s"},
                           Peak{options.peak_bandwidth, "--peak-bandwidth", "B/s", "peak.bytes_per_s"}}) {
    if (peak.text.empty()) continue;
    const auto rate = rate_setting(peak.text, peak.option, peak.unit);
    if (!rate) return Unexpected<Error>(rate.error());
    facts.push_back({peak.fact, format_number(*rate), "flag"});
  }
  if (!options.no_peak()) facts.push_back({"peak.source", "as given", "flag"});
  return {};
}

}  // namespace prony::app
