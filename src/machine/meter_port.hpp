// MeterPort: the side port of a Machine at whose wall meters can be read: those that the user named, and how they are
// asked. A live machine has it; captured and simulated ones have none, tests give theirs one. Thread promise: named
// before sensors are made; then as Machine. Errors: machine/network.hpp, machine/lines.hpp.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "machine/crypto.hpp"
#include "machine/machine.hpp"
#include "machine/meter.hpp"

namespace prony {

class Network;
class LineSource;
struct LineRequest;

class MeterPort {
 public:
  virtual ~MeterPort() = default;
  [[nodiscard]] virtual Result<std::unique_ptr<Network>> open_network() = 0;
  [[nodiscard]] virtual Result<std::unique_ptr<LineSource>> open_lines(const LineRequest& request) = 0;
  // For the devices that answer only behind it; a machine that was made up has none.
  [[nodiscard]] virtual Result<std::unique_ptr<Crypto>> open_crypto() {
    return fail(ErrorCode::unavailable, "no library of this machine can be opened", "libcrypto");
  }
  void name_meters(std::vector<Meter> meters) { meters_ = std::move(meters); }
  [[nodiscard]] const std::vector<Meter>& meters() const noexcept { return meters_; }

 private:
  std::vector<Meter> meters_;
};

// Null: nothing can be read at this machine's wall.
[[nodiscard]] inline MeterPort* meter_port(Machine& machine) { return dynamic_cast<MeterPort*>(&machine); }

}  // namespace prony
