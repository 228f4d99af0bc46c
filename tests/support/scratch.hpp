// ScratchFolder: a folder for one test, removed with all that is in it when the test ends, also when it fails; below
// TMPDIR, so that a stage of tests can be shown to leave nothing behind (tools/run_tests.py). Thread promise: none.
// A process that was forked from the test must leave by _exit, or it would take the folder with it.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

namespace prony {

class ScratchFolder {
 public:
  explicit ScratchFolder(std::string_view name, mode_t mode = 0700) {
    std::string pattern =
        (std::filesystem::temp_directory_path() / ("prony-" + std::string(name) + "-XXXXXX")).string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr) << pattern;
    ::chmod(pattern.c_str(), mode);
    path_ = pattern;
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::permissions(path_, std::filesystem::perms::owner_all, ignored);
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

}  // namespace prony
