// A tests-side reader of ttar archives (the text archive of the Prometheus projects' fixtures): unpacks one into a
// folder. Source of the format: https://github.com/ideaship/ttar. Records, each ended by a line that begins with '#':
//   Path: NAME, Lines: N, then N lines (NULLBYTE → NUL, EOF at the end of the last: no line end there), Mode: OCTAL
//   Path: NAME, SymlinkTo: TARGET
//   Directory: NAME, Mode: OCTAL
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace prony {

namespace ttar {

inline void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

// Content of `count` lines of the archive as the file had it.
inline std::string content(std::istream& archive, std::size_t count) {
  std::string text, line;
  for (std::size_t i = 0; i < count && std::getline(archive, line); ++i) {
    bool line_end = true;
    if (line.ends_with("EOF") && !line.ends_with("\\EOF")) {
      line.resize(line.size() - 3);
      line_end = false;
    }
    // \NULLBYTE and \EOF stand for themselves.
    replace_all(line, "\\NULLBYTE", "\x01");
    replace_all(line, "NULLBYTE", std::string_view("\0", 1));
    replace_all(line, "\x01", "NULLBYTE");
    replace_all(line, "\\EOF", "EOF");
    text += line;
    if (line_end) text += '\n';
  }
  return text;
}

// A name that stays inside of the folder that it is unpacked into.
inline bool stays_inside(const std::filesystem::path& name) {
  if (name.empty() || name.is_absolute()) return false;
  for (const auto& part : name)
    if (part == "..") return false;
  return true;
}

}  // namespace ttar

struct Unpacked {
  std::size_t files = 0, links = 0, folders = 0;
  std::string error;  // empty: all of it was unpacked
};

inline Unpacked unpack_ttar(const std::filesystem::path& archive, const std::filesystem::path& into) {
  namespace fs = std::filesystem;
  Unpacked done;
  std::ifstream in(archive, std::ios::binary);
  if (!in) return {0, 0, 0, "cannot open " + archive.string()};
  std::string line;
  fs::path current;
  std::error_code failed;
  while (std::getline(in, line) && done.error.empty() && !failed) {
    const auto value = [&](std::string_view key) -> const char* {
      return line.starts_with(key) ? line.c_str() + key.size() : nullptr;
    };
    if (const char* name = value("Path: ")) {
      if (!ttar::stays_inside(name)) done.error = "a name outside of the archive: " + line;
      current = into / name;
      fs::create_directories(current.parent_path(), failed);
    } else if (const char* folder = value("Directory: ")) {
      if (!ttar::stays_inside(folder)) done.error = "a name outside of the archive: " + line;
      current = into / folder;
      fs::create_directories(current, failed);
      ++done.folders;
    } else if (const char* count = value("Lines: ")) {
      std::ofstream out(current, std::ios::binary);
      out << ttar::content(in, static_cast<std::size_t>(std::stoul(count)));
      if (!out) done.error = "cannot write " + current.string();
      ++done.files;
    } else if (const char* target = value("SymlinkTo: ")) {
      fs::create_symlink(target, current, failed);
      ++done.links;
    } else if (const char* mode = value("Mode: ")) {
      // The owner always keeps the right to read and to delete.
      const auto bits = static_cast<fs::perms>(std::stoul(mode, nullptr, 8)) | fs::perms::owner_read |
                        fs::perms::owner_write | (fs::is_directory(current) ? fs::perms::owner_exec : fs::perms::none);
      fs::permissions(current, bits, failed);
    } else if (!line.empty() && line.front() != '#') {
      done.error = "not a record: " + line;
    }
  }
  if (failed) done.error = current.string() + ": " + failed.message();
  return done;
}

}  // namespace prony
