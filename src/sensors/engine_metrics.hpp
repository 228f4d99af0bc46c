// engine: what a server of language models counts itself: tokens, steps, requests; asked over HTTP in a lane of its
// own. It is no row of the catalogue: no machine has it, it is named by its address (--engine-metrics). Thread promise
// and ownership: as Sensor. Errors: absent (no such metrics, and how to have them), unavailable, transient, as
// machine/network.hpp.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "machine/machine.hpp"
#include "machine/network.hpp"
#include "model/manifest.hpp"
#include "sensors/sensor.hpp"

namespace prony {

inline constexpr std::string_view engine_sensor = "engine";
inline constexpr std::string_view prompt_tokens_domain = "prompt-tokens", output_tokens_domain = "output-tokens";

struct EngineMetrics {
  std::unique_ptr<Sensor> sensor;
  std::vector<Unavailable> missing;  // what this server does not tell
};
// `address`: "http://127.0.0.1:8080" or ".../metrics". `name`: stands in the channels' names, "" for the only one.
// Asks once, to see what there is. A name or password in it is a usage error; what follows a "?" is sent, and in no
// channel and no words.
[[nodiscard]] Result<EngineMetrics> make_engine_metrics(Machine& machine, std::unique_ptr<Network> network,
                                                        const std::string& address, const std::string& name);

}  // namespace prony
