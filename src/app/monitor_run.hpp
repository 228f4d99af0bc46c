// monitor(): watches this machine, and targets where some are named, until it is stopped, and tells sinks at each
// interval. The same sensors, selectors and attribution as record(). Thread promise: one thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/common.hpp"
#include "machine/machine.hpp"
#include "model/manifest.hpp"
#include "model/sample.hpp"
#include "sinks/stream.hpp"

namespace prony::app {

class Session;

// What a monitor carries on beside its sinks: the requests of a proxy. Made before the monitor, outlives it. see(),
// carry() and tell() come from the thread that carries ticks; the rest from the monitor's own.
class MonitorGuest {
 public:
  virtual ~MonitorGuest() = default;
  // The Run has begun: channels and targets are known. `stop` ends the monitor, from any thread.
  virtual void begin(Session& session, Machine& machine, const std::vector<std::string>& targets,
                     std::function<void()> stop) = 0;
  virtual void see(const TickBlock& block) = 0;
  virtual void carry() = 0;
  virtual void tell(Frame& frame) = 0;
  // Nothing new is begun; sampling goes on until this returns.
  virtual void wind_down() = 0;
  // Sampling has ended; the Run has not.
  virtual void end() = 0;
};

struct MonitorPlan {
  RecordOptions options;             // interval, sensors, meters, machine, targets, tags, quiet
  std::string metrics;               // "cpu,power"; "": all
  std::vector<std::string> sinks;    // as on the command line
  std::vector<std::string> engines;  // addresses of servers whose own counters are read
  std::vector<Fact> facts;           // settings
  std::string kind = "watch";        // fact run.kind
  MonitorGuest* guest = nullptr;     // none
};

// The exit code: 0 after a stop by signal or --for, also where a sink lost frames (which is told).
[[nodiscard]] int monitor(MonitorPlan plan);

}  // namespace prony::app
