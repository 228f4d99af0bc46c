// FileMachine: what the live and the captured machine share, a machine whose files are files: /sys and /proc lead to
// two directories of this file system. Only live.cpp and captured.cpp include it. Thread promise: as Machine.
// Ownership: its Files own their descriptors and may outlive it.
#pragma once

#include <string>

#include "machine/machine.hpp"

namespace prony {

class FileMachine : public Machine {
 public:
  // `sysfs`, `procfs`: directories that stand for /sys and /proc. `rest`: what stands for /; "" is the real one
  // where `procfs` is, else the folder that holds `procfs`.
  FileMachine(std::string sysfs, std::string procfs, std::string rest);

  [[nodiscard]] Instant now() const noexcept override;
  [[nodiscard]] Anchor anchor() const noexcept override;
  [[nodiscard]] Result<std::unique_ptr<File>> open(const std::string& path) override;
  [[nodiscard]] Result<std::vector<std::string>> list(const std::string& directory) override;
  [[nodiscard]] Result<void> list_processes(std::vector<ListedProcess>& out) override;
  [[nodiscard]] Result<std::string> read_text(const std::string& path) override;
  [[nodiscard]] Result<std::string> read_link(const std::string& path) override;
  [[nodiscard]] bool exists(const std::string& path) override;
  [[nodiscard]] Duration own_cpu_time() const noexcept override;
  [[nodiscard]] unsigned cpu_count() override;
  [[nodiscard]] std::size_t most_open_files() const noexcept override;
  [[nodiscard]] Duration tick_period() const noexcept override;

 protected:
  // What a program printed when this machine was recorded: programs/ beside the /proc that stands for it. Error: that
  // of Machine::run_program().
  [[nodiscard]] Result<ProgramOutput> recorded_program(std::span<const std::string> arguments);

 private:
  [[nodiscard]] std::string real_path(const std::string& path) const;

  std::string sysfs_, procfs_, rest_;
};

}  // namespace prony
