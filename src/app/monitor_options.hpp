// What `prony monitor` and `prony proxy` have in common: the options of a recording that goes on until it is told to
// end. Thread promise: one thread. Errors: usage.
#pragma once

#include <string>
#include <vector>

#include "app/monitor_run.hpp"
#include "app/settings.hpp"
#include "app/target_options.hpp"

namespace prony::app {

struct MonitorOptions {
  MonitorPlan plan;
  Settings settings;
  TargetFlags targets;
};

// Adds options whose values are settings; what a value is before is its default.
class SettingAdder {
 public:
  SettingAdder(CLI::App& command, Settings& settings) : command_(command), settings_(settings) {}
  CLI::Option* text(const std::string& name, std::string& value, const std::string& help, const char* type);
  // May be repeated, a value each time.
  void many(const std::string& name, std::vector<std::string>& values, const std::string& help, const char* type);

 private:
  CLI::App& command_;
  Settings& settings_;
};

// --engine-metrics and all that come after it, those of targets last.
void add_monitor_options(CLI::App& command, MonitorOptions& options);

// usage: an idle part is asked for, which only a measured baseline gives.
[[nodiscard]] Result<void> check_no_idle_part(const TargetOptions& targets);

}  // namespace prony::app
