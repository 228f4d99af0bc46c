#include "app/compare_study.hpp"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/text.hpp"

namespace prony::app {

namespace {

using ManifestJson = nlohmann::json;

constexpr std::size_t longest_kept_manifest = std::size_t{256} << 20;

std::string manifest_in(const std::string& folder) {
  return (std::filesystem::path(folder) / "manifest.json").string();
}

bool holds_manifest(const std::string& folder) {
  std::error_code ignored;
  return !folder.empty() && std::filesystem::is_regular_file(manifest_in(folder), ignored);
}

std::string word_at(const ManifestJson& object, const char* key) {
  if (!object.is_object()) return {};
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

const ManifestJson& list_at(const ManifestJson& object, const char* key) {
  static const ManifestJson none = ManifestJson::array();
  if (!object.is_object()) return none;
  const auto at = object.find(key);
  return at != object.end() && at->is_array() ? *at : none;
}

struct NamedStudy {
  std::string folder;
  std::optional<std::string> variant;
};
// A folder whose own name has a colon is that folder.
NamedStudy named_study(const std::string& path) {
  const std::size_t colon = path.rfind(':');
  if (holds_manifest(path) || colon == path.npos) return {path, std::nullopt};
  return {path.substr(0, colon), path.substr(colon + 1)};
}

}  // namespace

bool names_study(const std::string& path) { return holds_manifest(named_study(path).folder); }

Result<std::vector<StudySide>> sides_of_study(const std::string& path) {
  const NamedStudy named = named_study(path);
  const std::string file = manifest_in(named.folder);
  const auto text = read_whole_file(file, longest_kept_manifest);
  if (!text) return Unexpected<Error>(text.error());
  const ManifestJson manifest = ManifestJson::parse(*text, nullptr, false);
  if (list_at(manifest, "runs").empty() || list_at(manifest, "variants").empty())
    return fail(ErrorCode::malformed, "this is no study's manifest", file, "Name Runs, or folders of Runs.");
  std::vector<StudySide> sides;
  std::vector<std::string> names;
  for (const ManifestJson& variant : list_at(manifest, "variants")) {
    names.push_back(word_at(variant, "name"));
    if (!named.variant || *named.variant == names.back()) sides.push_back({names.back(), {}});
  }
  if (sides.empty()) {
    const auto near = nearest_name(*named.variant, names);
    return fail(ErrorCode::usage, "the study has no variant '" + printable(*named.variant, 60) + "'", named.folder,
                near ? "Did you mean '" + printable(*near, 60) + "'?" : "prony study --show  names those that it has.");
  }
  for (const ManifestJson& run : list_at(manifest, "runs"))
    for (const ManifestJson& attempt : list_at(run, "attempts")) {
      const auto side = std::ranges::find(sides, word_at(run, "variant"), &StudySide::variant);
      if (side == sides.end() || word_at(attempt, "status") != "done") continue;
      side->runs.push_back((std::filesystem::path(named.folder) / word_at(attempt, "run")).string());
    }
  // One that is named must have a run, and so must the first, which the others are compared to.
  std::string some;
  for (const StudySide& side : sides)
    if (!side.runs.empty() && std::ranges::count(some, ' ') < 2)
      some += (some.empty() ? "" : " ") + named.folder + ":" + printable(side.variant, 60);
  if (sides.front().runs.empty())
    return fail(ErrorCode::absent, "no run of the variant '" + printable(sides.front().variant, 60) + "' counts",
                named.folder,
                "prony study --show " + named.folder + "  says why." +
                    (std::ranges::count(some, ' ') > 0 ? " Others by name:  prony compare " + some : std::string()));
  return sides;
}

}  // namespace prony::app
