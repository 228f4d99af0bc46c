// parts: app
// Any text as the manifest of a study: an error that names the file, or a study whose table and CSV files can be made,
// and which is the same when it is written and read again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "app/study_folder.hpp"
#include "app/study_results.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace prony;
  using namespace prony::app;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto manifest = manifest_from(text, "manifest.json");
  if (!manifest) {
    if (manifest.error().what.empty() || manifest.error().where != "manifest.json") std::abort();
    return 0;
  }
  if (study_table(*manifest, 100, false).empty() || study_csv_wide(*manifest).empty()) std::abort();
  (void)study_csv_long(*manifest);
  const auto written = to_json(*manifest);
  const auto again =
      manifest_from(written.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace), "manifest.json");
  if (!again || again->runs.size() != manifest->runs.size()) std::abort();
  return 0;
}
