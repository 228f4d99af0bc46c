#include "app/study_campaign.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "app/common.hpp"
#include "app/study_new.hpp"
#include "app/study_runner.hpp"
#include "app/write_file.hpp"
#include "base/sha256.hpp"
#include "base/text.hpp"
#include "complexity/onnx.hpp"
#include "reports/figures.hpp"
#include "synth/onnx_networks.hpp"

namespace prony::app {

namespace {

namespace fs = std::filesystem;

constexpr const char* campaign_file = "campaign.toml";

Result<study::Campaign> read_campaign_text(const std::string& text, const std::string& name) {
  const auto value = study::read_study_text(text, name);
  if (!value) return Unexpected<Error>(value.error());
  std::vector<std::string_view> architectures;
  for (const OnnxNetwork& one : onnx_networks()) architectures.push_back(one.name);
  auto campaign = study::read_campaign(*value, name, architectures);
  if (campaign && campaign->name.empty()) campaign->name = fs::path(name).stem().string();
  return campaign;
}

Result<predict::DatasetFile> sum_of(const std::string& path) {
  const auto fd = Fd::open(path, O_RDONLY);
  if (!fd) return Unexpected<Error>(fd.error());
  struct stat status{};
  if (::fstat(fd->get(), &status) != 0 || status.st_size <= 0) return fail(ErrorCode::malformed, "an empty file", path);
  const auto map = Mapping::map(*fd, static_cast<std::size_t>(status.st_size), false);
  if (!map) return Unexpected<Error>(map.error());
  const auto bytes = map->bytes();
  return predict::DatasetFile{sha256_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()}),
                              static_cast<std::uint64_t>(bytes.size())};
}

// The files that a campaign's configurations run, made where they are architectures, and what their layers are.
class Networks {
 public:
  Networks(const study::Campaign& campaign, const StudyFolder& folder) : campaign_(campaign), folder_(folder) {}

  Result<void> prepare(std::vector<study::Configuration>& all) {
    for (study::Configuration& one : all) {
      const study::CampaignModel& model = campaign_.models[one.model];
      one.path = path_of(model, one.resolution);
      const auto file = file_of(model, one.resolution, one.path);
      if (!file) return Unexpected<Error>(file.error());
      auto layers = layers_of(model, one);
      if (!layers) {
        layers.error().what = "model '" + printable(model.name, 60) + "': " + layers.error().what;
        return Unexpected<Error>(layers.error());
      }
      one.flop = 2 * layers->macs + layers->other_operations;
      layers_.push_back(std::move(*layers));
    }
    return {};
  }

  [[nodiscard]] const std::vector<NetworkLayers>& layers() const { return layers_; }
  [[nodiscard]] const std::map<std::string, CampaignFile>& files() const { return files_; }
  // Those that were made: the same words make the same bytes again.
  void remove_made() const {
    std::error_code ignored;
    for (const auto& [path, file] : files_)
      if (!file.made_by.empty()) fs::remove(path, ignored);
    fs::remove(folder_.file("models"), ignored);  // where nothing is left in it
  }

 private:
  [[nodiscard]] std::string path_of(const study::CampaignModel& model, std::int64_t resolution) const {
    if (model.architecture.empty()) return fs::absolute(model.file).lexically_normal().string();
    const std::string size = resolution > 0 ? "-r" + std::to_string(resolution) : "";
    return folder_.file("models/" + model.architecture + size + ".onnx").string();
  }

  Result<void> file_of(const study::CampaignModel& model, std::int64_t resolution, const std::string& path) {
    if (files_.contains(path)) return {};
    CampaignFile file;
    if (!model.architecture.empty()) {
      OnnxNetworkOptions options;
      options.architecture = model.architecture, options.dynamic_batch = true, options.resolution = resolution;
      file.made_by = "prony synth onnx --arch " + model.architecture + " --dynamic-batch" +
                     (resolution > 0 ? " --resolution " + std::to_string(resolution) : "") + " --seed 1";
      std::error_code ignored;
      fs::create_directories(folder_.file("models"), ignored);
      if (!fs::exists(path, ignored))
        if (const auto made = write_onnx_network(options, path); !made) return Unexpected<Error>(made.error());
    }
    const auto sum = sum_of(path);
    if (!sum) return Unexpected<Error>(sum.error());
    file.path = path, file.sha256 = sum->sha256;
    files_[path] = std::move(file);
    return {};
  }

  // A file that leaves its batch open is given one; one whose batch is fixed has a single configuration of it.
  static Result<NetworkLayers> layers_of(const study::CampaignModel& model, study::Configuration& one) {
    const auto read = complexity::read_onnx(one.path);
    if (!read) return Unexpected<Error>(read.error());
    complexity::OnnxShapes shapes;
    for (const std::string& words : model.shapes)
      if (auto added = complexity::add_onnx_shape(shapes, words); !added) return Unexpected<Error>(added.error());
    const bool open = !read->dynamic_inputs().empty();
    if (!open && model.batches_told && (model.batches.size() > 1 || model.batches.front() != 1))
      return fail(ErrorCode::usage, "its batch is fixed in the file", one.path,
                  "Leave its batches out, or export it with the first dimension left open.");
    one.open_batch = open;
    if (open) shapes.batch = one.batch;
    auto layers = complexity::layers_of(*read, shapes);
    if (layers && !open && !layers->inputs.empty() && !layers->inputs.front().shape.empty())
      one.batch = std::max<std::int64_t>(layers->inputs.front().shape.front(), 1);
    return layers;
  }

  const study::Campaign& campaign_;
  const StudyFolder& folder_;
  std::vector<NetworkLayers> layers_;
  std::map<std::string, CampaignFile> files_;
};

// Configurations of a file whose batch is fixed are one.
void drop_equal(std::vector<study::Configuration>& all, std::vector<NetworkLayers>& networks) {
  std::vector<study::Configuration> kept;
  std::vector<NetworkLayers> kept_networks;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto same = [&](const study::Configuration& other) {
      return other.model == all[i].model && other.name() == all[i].name();
    };
    if (std::ranges::any_of(kept, same)) continue;
    kept.push_back(std::move(all[i])), kept_networks.push_back(std::move(networks[i]));
  }
  all = std::move(kept), networks = std::move(kept_networks);
}

Result<void> write_data_set(const study::Campaign& campaign, const StudyFolder& folder, const StudyManifest& manifest,
                            const std::map<std::string, CampaignFile>& models, CampaignData& data) {
  auto& facts = data.dataset.facts;
  facts["campaign"] = campaign.name;
  facts["campaign.begun"] = manifest.begun_utc;
  facts["campaign.order"] = std::string(to_string(campaign.execution.order)) + ", seed " +
                            std::to_string(campaign.execution.seed.value_or(0)) + ", " +
                            std::to_string(campaign.execution.cycles) + " cycles";
  facts["campaign.of_cycles"] =
      campaign.least_of_cycles ? "the least of the cycles' medians" : "the middle of the cycles' medians";
  facts["campaign.runs_failed"] = std::to_string(data.failed_runs);
  facts["prony.version"] = manifest.version;
  for (const auto& [path, file] : models)
    facts["model." + fs::path(path).stem().string()] =
        "sha256 " + file.sha256 + (file.made_by.empty() ? "" : " (" + file.made_by + ")");
  std::map<std::string, predict::DatasetFile> files;
  const std::map<std::string, std::string> tables{{"rows.csv", predict::rows_csv(data.dataset)},
                                                  {"networks.csv", predict::networks_csv(data.dataset)}};
  for (const auto& [name, text] : tables) {
    if (auto kept = replace_durably(folder.file(name), text); !kept) return kept;
    files[name] = {sha256_hex(text), text.size()};
  }
  data.runs.emplace_back(campaign_file);
  for (const std::string& name : data.runs) {
    const auto sum = sum_of(folder.file(name).string());
    if (!sum) return Unexpected<Error>(sum.error());
    files[name] = *sum;
  }
  return replace_durably(folder.file("dataset.json"), predict::dataset_manifest(data.dataset, files));
}

std::string data_words(const CampaignData& data, const std::string& folder) {
  const std::size_t removed = static_cast<std::size_t>(
      std::ranges::count_if(data.dataset.rows, [](const predict::DatasetRow& row) { return row.runtime_s <= 0; }));
  const auto counted = [](std::size_t count, const std::string& what) {
    return figures::count_of(count) + " " + what + (count == 1 ? "" : "s");
  };
  std::string text = "\n" + folder + ": " + counted(data.dataset.rows.size(), "row") + " of " +
                     counted(data.dataset.network_names().size(), "network") + ", " +
                     counted(data.configurations, "configuration") + "\n";
  text += " rows have " + format_fixed(100 * data.time_in_rows, 1) +
          " % of what the engine's nodes took; the rest is what it puts in by itself\n";
  if (removed > 0) text += " " + figures::count_of(removed) + " rows took no time: computed within others\n";
  if (data.spread_median > 0)
    text += " test and retest of one configuration: half the range is " + format_fixed(100 * data.spread_median, 1) +
            " % of the latency (median), " + format_fixed(100 * data.spread_90, 1) + " % (90 % of them are below)\n";
  else
    text += " one cycle only: how far the same configuration is off when measured again is not known\n";
  if (data.failed_runs > 0) text += " " + figures::count_of(data.failed_runs) + " runs are not done: not in it\n";
  return text + " next: prony predict train " + folder + " -o model.json\n";
}

Result<StudyManifest> manifest_for(const study::Plan& plan, const std::string& file, const StudyFolder& folder,
                                   const std::string& text, bool fresh) {
  if (fresh) {
    StudyManifest manifest = fresh_manifest(plan);
    manifest.file = campaign_file;
    if (auto kept = replace_durably(folder.file(manifest.file), text); !kept) return Unexpected<Error>(kept.error());
    if (auto kept = folder.save(manifest); !kept) return Unexpected<Error>(kept.error());
    return manifest;
  }
  auto manifest = folder.load();
  if (!manifest) return manifest;
  if (manifest->kind != to_string(study::Kind::layers))
    return fail(ErrorCode::usage, "a study of another kind lies there", folder.path().string(),
                "Name another folder with -o.");
  if (auto same = same_design(plan, *manifest, file); !same) return Unexpected<Error>(same.error());
  manifest->runs = planned_runs(plan, manifest->runs);
  if (auto kept = replace_durably(folder.file(campaign_file), text); !kept) return Unexpected<Error>(kept.error());
  return manifest;
}

}  // namespace

int run_campaign(const std::string& file, const std::string& place, bool quiet) {
  const auto text = read_whole_file(file, study::longest_file);
  if (!text) return failed(text.error());
  const auto campaign = read_campaign_text(*text, file);
  if (!campaign) return failed(campaign.error());
  std::error_code ignored;
  const bool fresh = !fs::exists(fs::path(place) / "manifest.json", ignored);
  const auto folder = fresh ? StudyFolder::create(place) : StudyFolder::open(place);
  if (!folder) return failed(folder.error());
  std::vector<study::Configuration> all = study::configurations(*campaign);
  Networks networks(*campaign, *folder);
  if (auto ready = networks.prepare(all); !ready) return failed(ready.error());
  std::vector<NetworkLayers> layers = networks.layers();
  drop_equal(all, layers);
  const study::Plan plan = study::campaign_plan(*campaign, all);
  auto manifest = manifest_for(plan, file, *folder, *text, fresh);
  if (!manifest) return failed(manifest.error());
  if (!quiet)
    print_note(std::to_string(manifest->runs.size()) + " runs of " + std::to_string(all.size()) +
               " configurations; if it breaks off, the same command goes on");
  StudyRunner runner(plan, *folder, std::move(*manifest), quiet);
  const int code = runner.run();
  // Stopped before its end, by a signal or by its own limits: no data set yet.
  if (code != exit_code::ok && runner.manifest().status != "failed") {
    if (code == exit_code::failed_requests) print_note(runner.manifest().why);
    print_note("no data set yet: the same command goes on where it stopped");
    return code;
  }
  auto data = campaign_data(*campaign, all, layers, *folder, runner.manifest());
  if (!data) return failed(data.error());
  if (data->configurations == 0)
    return failed({ErrorCode::unavailable, "no run came to its end: there is no data set", folder->path().string(),
                   "runs/*.log say why; then the same command again."});
  if (auto written = write_data_set(*campaign, *folder, runner.manifest(), networks.files(), *data); !written)
    return failed(written.error());
  if (!campaign->keep_models && code == exit_code::ok) networks.remove_made();
  if (quiet) return code;
  return print_result(data_words(*data, place)) == exit_code::ok ? code : exit_code::own_failure;
}

}  // namespace prony::app
