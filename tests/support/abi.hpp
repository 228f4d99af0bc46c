// Holding a shared library against the list of what it promises: its exports with their versions, and what its structs
// and enumerators are. A line that went away breaks programs that exist; one that came belongs into the list.
#pragma once

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

namespace prony::test {

inline std::string printed_by(const std::string& command) {
  std::string text;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return text;
  char buffer[4096];
  for (std::size_t got = 0; (got = fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, got);
  pclose(pipe);
  return text;
}

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
    lines.push_back(text.substr(begin, end - begin));
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

// "export prony_open@@PRONY_1", sorted; the version nodes themselves are left out.
inline std::vector<std::string> exports_of(const std::string& library) {
  std::vector<std::string> out;
  for (const std::string& line : lines_of(printed_by("nm -D --defined-only " + library))) {
    const std::size_t type = line.find(' ');
    if (type == std::string::npos || line.size() < type + 4 || line[type + 1] == 'A') continue;
    out.push_back("export " + line.substr(type + 3));
  }
  std::sort(out.begin(), out.end());
  return out;
}

inline std::vector<std::string> listed_in(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    if (!line.empty() && line.front() != '#') lines.push_back(line);
  return lines;
}

template <class Number>
std::string abi_line(const char* what, const char* name, Number value) {
  return std::string(what) + " " + name + " " + std::to_string(static_cast<long long>(value));
}

}  // namespace prony::test
