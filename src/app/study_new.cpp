#include "app/study_new.hpp"

#include <unistd.h>

#include <filesystem>
#include <random>

#include "app/study_runner.hpp"
#include "base/text.hpp"
#include "machine/machine.hpp"

namespace prony::app {

namespace {

nlohmann::ordered_json variants_json(const study::Plan& plan) {
  auto all = nlohmann::ordered_json::array();
  for (const study::Variant& variant : plan.variants) {
    nlohmann::ordered_json row{
        {"name", variant.name}, {"hash", variant.hash}, {"command", study::command_line(plan, variant)}};
    row["settings"] = nlohmann::ordered_json::array();
    for (const study::Setting& setting : variant.settings) {
      row["settings"].push_back(
          {{"key", setting.key},
           {"value", setting.value.scalar() ? study::word_of(setting.value) : study::canonical(setting.value)},
           {"canonical", study::canonical(setting.value)},
           {"source", setting.source},
           {"line", setting.line}});
      if (!setting.file.empty()) row["settings"].back()["file"] = setting.file;
    }
    all.push_back(std::move(row));
  }
  return all;
}

std::string random_word() {
  std::random_device device;
  constexpr std::string_view digits = "0123456789abcdef";
  std::string word;
  for (int i = 0; i < 8; ++i) word += digits[device() % 16];
  return word;
}

std::vector<study::DesignRow> rows_of(const StudyManifest& manifest) {
  std::vector<study::DesignRow> rows;
  for (const auto& variant : manifest.variants) {
    study::DesignRow row{variant.at("name").get<std::string>(), "", {}};
    for (const auto& setting : variant.at("settings"))
      row.settings.emplace_back(setting.at("key").get<std::string>(), setting.at("canonical").get<std::string>());
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

std::string this_host() {
  char host[256] = {};
  (void)::gethostname(host, sizeof host - 1);
  return host;
}

StudyManifest fresh_manifest(const study::Plan& plan) {
  StudyManifest manifest;
  const std::int64_t wall_ns = make_live_machine()->anchor().wall_ns;
  manifest.id = compact_utc(wall_ns) + "-" + random_word();
  manifest.name = plan.name;
  manifest.kind = std::string(to_string(plan.kind));
  manifest.begun_utc = format_utc(wall_ns);
  std::error_code ignored;
  manifest.directory = std::filesystem::current_path(ignored).string();
  manifest.version = PRONY_VERSION;
  manifest.host = this_host();
  manifest.design = study::hash_of(plan.design);
  manifest.variants = variants_json(plan);
  manifest.runs = planned_runs(plan, {});
  return manifest;
}

Result<void> same_design(const study::Plan& plan, const StudyManifest& manifest, const std::string& file) {
  if (study::hash_of(plan.design) == manifest.design) return {};
  std::string lines;
  for (const std::string& line : study::design_drift(rows_of(manifest), study::design_rows(plan))) lines += line + "\n";
  if (lines.empty()) lines = "how the machine is set, or the kind of the runs\n";
  return fail(ErrorCode::usage, "what is measured has changed since this study began", file,
              lines + "Begin a new study with --out, or take the file as it was.");
}

}  // namespace prony::app
