#include "app/study_progress.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "base/text.hpp"

namespace prony::app {

std::vector<Fact> study_facts() {
  const char* cycle = std::getenv(cycle_variable);
  if (cycle == nullptr || !parse_u64(cycle)) return {};
  return {{"study.cycle", cycle, "study"}};
}

StudyProgress::StudyProgress() {
  const char* path = std::getenv(progress_variable);
  if (path == nullptr || *path == '\0') return;
  if (auto file = Fd::open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644)) file_ = std::move(*file);
}

void StudyProgress::update(const Progress& progress) {
  if (!file_.valid()) return;
  std::string line = std::to_string(progress.done) + "/" + std::to_string(progress.total) + " " + progress.note;
  line.resize(63, ' ');  // always as long, so that a reader never sees an old line's end
  line += '\n';
  if (line == last_) return;
  (void)::pwrite(file_.get(), line.data(), line.size(), 0);
  last_ = std::move(line);
}

std::string read_progress(const std::string& path) {
  const auto text = read_whole_file(path, 256);
  return text ? std::string(trim(*text)) : std::string();
}

}  // namespace prony::app
