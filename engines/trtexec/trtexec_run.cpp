#include "trtexec_run.hpp"

#include <prony/prony.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>

namespace prony_engine {

namespace {

constexpr std::size_t longest_line = 4096, most_lines = 12;

// "[TensorRT v100300]" → 10.3.0; of 8 and before "[TensorRT v8601]" → 8.6.1
std::string version_in(const std::string& line) {
  const std::size_t at = line.find("[TensorRT v");
  if (at == std::string::npos) return {};
  const std::string digits = line.substr(at + 11, line.find(']', at) - at - 11);
  if (digits.size() < 4 || digits.size() > 6 || digits.find_first_not_of("0123456789") != std::string::npos) return {};
  const int number = std::stoi(digits);
  const int step = digits.size() > 4 ? 100 : 10;
  const int major = digits.size() > 4 ? number / 10000 : number / 1000,
            minor = digits.size() > 4 ? number / 100 % 100 : number / 100 % 10;
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(number % step);
}

// What it printed, a line at a time; of them the last that tell of errors, or else the last.
class Printed {
 public:
  void take(const char* data, std::size_t size, TrtexecRun& run) {
    for (std::size_t i = 0; i < size; ++i) {
      if (data[i] != '\n') {
        if (line_.size() < longest_line) line_ += data[i];
        continue;
      }
      end_line(run);
    }
  }
  void end_line(TrtexecRun& run) {
    if (line_.empty()) return;
    if (run.version.empty()) run.version = version_in(line_);
    if (run.measured_ns == 0 && line_.find("Warmup completed") != std::string::npos) run.measured_ns = prony_now_ns();
    const bool wrong = line_.find("[E]") != std::string::npos || line_.find("rror") != std::string::npos;
    std::deque<std::string>& lines = wrong ? wrong_ : other_;
    lines.push_back(line_);
    if (lines.size() > most_lines) lines.pop_front();
    line_.clear();
  }
  [[nodiscard]] std::string last() const {
    std::string text;
    for (const std::string& one : wrong_.empty() ? other_ : wrong_) text += (text.empty() ? "" : " | ") + one;
    if (text.size() > 300) text = "…" + text.substr(text.size() - 300);
    return text;
  }

 private:
  std::string line_;
  std::deque<std::string> wrong_, other_;
};

[[noreturn]] void become(const std::vector<std::string>& words, int out) {
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::dup2(out, STDOUT_FILENO) < 0 || ::dup2(out, STDERR_FILENO) < 0) ::_exit(126);
  std::vector<char*> arguments;
  for (const std::string& one : words) arguments.push_back(const_cast<char*>(one.c_str()));
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  ::_exit(errno == ENOENT ? 127 : 126);
}

std::string how_it_ended(int status, const Printed& printed, const std::string& program) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127 && printed.last().empty()) return "there is no " + program;
  const std::string how = WIFEXITED(status) ? "it ended with " + std::to_string(WEXITSTATUS(status))
                                            : "signal " + std::to_string(WTERMSIG(status)) + " ended it";
  return printed.last().empty() ? how : how + ": " + printed.last();
}

}  // namespace

TrtexecRun run_trtexec(const std::vector<std::string>& words) {
  TrtexecRun run;
  int ends[2] = {-1, -1};
  if (::pipe(ends) != 0) {
    run.problem = std::strerror(errno);
    return run;
  }
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    become(words, ends[1]);
  }
  ::close(ends[1]);
  if (child < 0) {
    run.problem = std::strerror(errno);
    ::close(ends[0]);
    return run;
  }
  Printed printed;
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::read(ends[0], buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    printed.take(buffer, static_cast<std::size_t>(got), run);
  }
  printed.end_line(run);
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  run.problem = how_it_ended(status, printed, words.front());
  return run;
}

}  // namespace prony_engine
