// Control: what the app does to a recording while it runs, by looking at the newest readings off the tick: the
// temperature at which a workload is to stop, and the budget of Prony's own CPU time. It acts through messages: the
// sampler is told an interval, the Run is told an Event, the app is told of heat; no reader writes into a Run.
// Thread promise: look() from one thread (the session's carrier); on_hot is called from it.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/budget.hpp"
#include "base/result.hpp"
#include "machine/machine.hpp"
#include "model/channel.hpp"
#include "model/manifest.hpp"
#include "sampler/sampler.hpp"

namespace prony::app {

// "90C", "194F", "363.15K" → degrees Celsius. Errors: usage, with the form it must have.
[[nodiscard]] Result<double> temperature_setting(const std::string& text, std::string_view option);
// "0.5%" → 0.005 of one core; above 0, at most 100%.
[[nodiscard]] Result<double> share_setting(const std::string& text, std::string_view option);

// The hottest channel passed the limit.
struct Heat {
  std::string channel;
  double celsius = 0, limit_celsius = 0;
};

struct ControlOptions {
  std::optional<double> max_celsius;
  std::optional<double> budget;                      // share of one core
  std::function<void(const Heat&)> on_hot;           // once
  std::function<void(const std::string&)> on_blind;  // once: no temperature can be read any more, so nothing is watched
};

class Control {
 public:
  // `lanes` and `channels` must outlive it.
  Control(Machine& machine, std::span<const LanePlan> lanes, std::span<const Channel> channels, ControlOptions options);

  // `record`: takes what is to stand in the Run.
  void look(Sampler& sampler, const std::function<void(const Event&)>& record);

 private:
  struct Thermometer {
    GroupId group;
    std::size_t position = 0;
    const Channel* channel = nullptr;
  };
  void look_for_heat(const Sampler& sampler, const std::function<void(const Event&)>& record);
  void keep_budget(Sampler& sampler, const std::function<void(const Event&)>& record);
  [[nodiscard]] static bool slowable(const LanePlan& lane);
  [[nodiscard]] static Duration interval_at(const LanePlan& lane, std::uint32_t factor);

  Machine& machine_;
  std::span<const LanePlan> lanes_;
  ControlOptions options_;
  std::vector<Thermometer> thermometers_;
  std::optional<BudgetGovernor> governor_;
  Instant next_budget_;
  std::optional<Instant> last_seen_;  // a temperature, or the first look
  bool hot_ = false, blind_ = false;
};

}  // namespace prony::app
