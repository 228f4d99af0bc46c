// A captured machine: proc/ and sys/ of another machine below one directory. Its files are what they were; its clock is
// the live one, so that what runs on it takes real time; its processes are not here.
#include <algorithm>

#include "machine/file_machine.hpp"

namespace prony {

namespace {

class CapturedMachine final : public FileMachine {
 public:
  explicit CapturedMachine(const std::string& root) : FileMachine(root + "/sys", root + "/proc", root) {}

  [[nodiscard]] MachineKind kind() const noexcept override { return MachineKind::captured; }

  [[nodiscard]] Result<Duration> process_cpu_time(std::int64_t pid) noexcept override {
    return fail(ErrorCode::absent, "a captured machine has no process clocks", "pid " + std::to_string(pid));
  }
  [[nodiscard]] Result<ProgramOutput> run_program(std::span<const std::string> arguments, Duration most) override {
    auto text = read_text("/" + captured_program_file(arguments));
    if (!text) return Machine::run_program(arguments, most);
    return ProgramOutput{std::move(*text), {}, 0};
  }
  // HZ of the captured machine is not in its files: the longest tick is assumed.
  [[nodiscard]] Duration tick_period() const noexcept override { return Machine::tick_period(); }
};

}  // namespace

std::string captured_program_file(std::span<const std::string> arguments) {
  std::string name;
  for (const auto& argument : arguments) name += (name.empty() ? "" : "_") + argument;
  const auto odd = [](char c) {
    return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.';
  };
  std::replace_if(name.begin(), name.end(), odd, '_');
  return "programs/" + name;
}

std::unique_ptr<Machine> make_captured_machine(const std::string& root) {
  return std::make_unique<CapturedMachine>(root);
}

}  // namespace prony
