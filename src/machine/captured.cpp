// A captured machine: proc/ and sys/ of another machine below one directory. Its files are what they were; its clock is
// the live one, so that what runs on it takes real time; its processes are not here.
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
  [[nodiscard]] Result<ProgramOutput> run_program(std::span<const std::string> arguments, Duration) override {
    return recorded_program(arguments);
  }
  // HZ of the captured machine is not in its files: the longest tick is assumed.
  [[nodiscard]] Duration tick_period() const noexcept override { return Machine::tick_period(); }
};

}  // namespace

std::unique_ptr<Machine> make_captured_machine(const std::string& root) {
  return std::make_unique<CapturedMachine>(root);
}

}  // namespace prony
