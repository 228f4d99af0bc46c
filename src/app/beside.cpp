#include "app/beside.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "base/text.hpp"

namespace prony::app {

std::optional<std::string> find_beside_or_in_path(std::string_view program) {
  std::error_code ignored;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", ignored);
  std::vector<std::filesystem::path> places;
  if (!self.empty()) places.push_back(self.parent_path());
  const char* path = std::getenv("PATH");
  for (const std::string_view part : split(path == nullptr ? "" : path, ':')) places.emplace_back(part);
  for (const auto& place : places) {
    const std::filesystem::path candidate = place / program;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate.string();
  }
  return std::nullopt;
}

}  // namespace prony::app
