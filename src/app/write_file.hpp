// Writing results to where the user said: a file, or "-" for standard output.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "store/run.hpp"

namespace prony::app {

// A whole text, in one go; short writes and a full disk are errors, never silence.
[[nodiscard]] Result<void> write_file(const std::string& path, std::string_view text);
// A command's whole answer, on standard output; gives the exit code, and says what went wrong.
[[nodiscard]] int print_result(std::string_view text);
// One table of a Run in one format ("csv", "jsonl"), streamed.
[[nodiscard]] Result<void> export_table(const Run& run, std::string_view table, std::string_view format,
                                        const std::string& path);

}  // namespace prony::app
