// A temporary folder for runs of layers, which keep their profiles in one: what a run that was killed left is within
// the study's folder, and gone when the next begins.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "app/study_folder.hpp"
#include "study/plan.hpp"

namespace prony::app {

class StudyScratch {
 public:
  // Makes it empty. Nothing for other kinds: what they measure may mind where its temporary files are.
  StudyScratch(const StudyFolder& folder, study::Kind kind) {
    if (kind != study::Kind::layers) return;
    std::error_code failed;
    path_ = std::filesystem::absolute(folder.file(".scratch"), failed);
    std::filesystem::remove_all(path_, failed);
    std::filesystem::create_directory(path_, failed);
    if (failed) path_.clear();
  }
  ~StudyScratch() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  StudyScratch(const StudyScratch&) = delete;
  StudyScratch& operator=(const StudyScratch&) = delete;
  // A TMPDIR of the study file stands before it and holds.
  void tell(std::vector<std::pair<std::string, std::string>>& environment) const {
    for (const auto& [name, value] : environment)
      if (name == "TMPDIR") return;
    if (!path_.empty()) environment.emplace_back("TMPDIR", path_.string());
  }

 private:
  std::filesystem::path path_;
};

}  // namespace prony::app
