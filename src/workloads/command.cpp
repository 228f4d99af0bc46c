#include "workloads/command.hpp"

#include <mutex>

namespace prony {

namespace {

class CommandWorkload final : public Workload {
 public:
  explicit CommandWorkload(std::vector<std::string> arguments) : arguments_(std::move(arguments)) {}

  SpawnOptions command() override {
    SpawnOptions options;
    options.arguments = arguments_;
    return options;
  }

  Result<WorkloadOutcome> run(Child& child, const std::function<void(const Progress&)>&) override {
    adopt(&child);
    auto status = child.wait();
    adopt(nullptr);
    if (!status) return Unexpected<Error>(status.error());
    WorkloadOutcome outcome;
    if (*status) outcome.exit = **status;
    return outcome;
  }

  void cancel(int signal) noexcept override {
    const std::lock_guard lock(mutex_);
    if (child_ != nullptr)
      child_->signal(signal);
    else
      pending_ = signal;  // came before the command was ours: it gets it as soon as it is
  }

 private:
  void adopt(Child* child) {
    const std::lock_guard lock(mutex_);
    child_ = child;
    if (child_ != nullptr && pending_ != 0) child_->signal(pending_);
    pending_ = 0;
  }

  const std::vector<std::string> arguments_;
  std::mutex mutex_;
  Child* child_ = nullptr;  // while run() waits for it
  int pending_ = 0;
};

}  // namespace

std::unique_ptr<Workload> make_command_workload(std::vector<std::string> arguments) {
  return std::make_unique<CommandWorkload>(std::move(arguments));
}

}  // namespace prony
