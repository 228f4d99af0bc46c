// The folders of the thesis that LLenergyMeasure comes from: raw_results/{id} read, and results in its layout written:
// raw_results/{id}/…, the aggregate JSON and the CSV, each with one run more. Thread promise: one thread; two programs
// that write into one folder at once may take the same id, and the second is told. Errors: as the system tells them;
// usage, malformed.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "exchange/writers.hpp"

namespace prony::app {

// → the folder as one aggregate; what could not be read goes into `notes`.
[[nodiscard]] Result<std::string> read_thesis_folder(const std::filesystem::path& folder,
                                                     std::vector<std::string>& notes);
// → the id that the run got: the number after the highest that is there.
[[nodiscard]] Result<std::string> write_thesis_folder(const std::filesystem::path& folder, const Summary& summary,
                                                      exchange::WallOffset wall);

}  // namespace prony::app
