// What plugs with a meter answer over HTTP, kind by kind: which address to ask, where power and energy stand in the
// answer, in which unit and in which steps. Pure; text in, plan or counts out. Errors: malformed, absent (no meter in
// it), denied (a password is wanted), usage (several outlets, and nobody said which).
// Sources: Shelly Gen1 API reference (meters: W and watt-minutes; emeters: W and Wh), Shelly Gen2+ API reference
// (Switch, PM1, Cover, EM, EM1: W; aenergy and EMData: Wh), Tasmota documentation (ENERGY: W and kWh; EnergyRes and
// WattRes: decimal places), and for Kasa what its users found out (emeter.get_realtime: W and kWh, or mW and Wh;
// get_emeter_data, get_energy_usage: mW; the energy of today and of this month falls back to 0, so it is not read).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "machine/meter.hpp"
#include "model/channel.hpp"
#include "sensors/json_numbers.hpp"

namespace prony {

// One number of an answer, or a sum of several (three phases).
struct PlugQuantity {
  std::string what;  // "power", "energy"
  Measure measure = Measure::power;
  std::vector<std::string> paths;  // in the JSON of the answer
  double unit = 1;                 // W or J of 1 in the answer
  double scale = 1;                // W or J of one count: a divisor of every step that the device may be set to
  double step = 1;                 // W or J: what is known of its step; finer where the answer has more decimals
};

// One request on each tick, and what is read out of its answer.
struct PlugAsk {
  std::string path;  // "/rpc/Switch.GetStatus?id=0"
  std::vector<PlugQuantity> quantities;
  std::string valid = {};  // where a truth stands that must not be false; empty: nowhere
};

struct PlugPlan {
  std::string kind;  // "Shelly, 2nd generation or later: switch 0"
  std::vector<PlugAsk> asks;
};

// Gen2+: of /rpc/Shelly.GetStatus; Gen1: of /status; Tasmota: of Status 8; Kasa: of its emeter.
[[nodiscard]] Result<PlugPlan> shelly_gen2_plan(const JsonNumbers& status, std::optional<std::uint64_t> channel);
[[nodiscard]] Result<PlugPlan> shelly_gen1_plan(const JsonNumbers& status, std::optional<std::uint64_t> channel);
[[nodiscard]] Result<PlugPlan> tasmota_plan(const JsonNumbers& status, std::optional<std::uint64_t> channel);
[[nodiscard]] Result<PlugPlan> kasa_plan(const JsonNumbers& emeter);
// Tapo and later Kasa, behind KLAP: of `get_emeter_data` or `get_energy_usage`.
[[nodiscard]] Result<PlugPlan> tapo_plan(const JsonNumbers& answer);
// Which generation /shelly tells of: 1, 2 for all later ones; empty: this is no Shelly.
[[nodiscard]] std::optional<int> shelly_generation(const JsonNumbers& identity);

// A step of `quantity` as this answer was written: W or J.
[[nodiscard]] double step_of(const PlugQuantity& quantity, const JsonNumbers& answer);
// Counts of `quantity`, or empty: it does not stand there, it is said not to be valid, or it is larger than any count.
[[nodiscard]] std::optional<std::int64_t> counts_of(const PlugQuantity& quantity, const JsonNumbers& answer);

// TP-Link's local protocol: each byte is XORed with the one before it on the wire, the first with 171, behind a length
// of four bytes.
[[nodiscard]] std::string kasa_wrapped(std::string_view text);
[[nodiscard]] std::string kasa_unwrapped(std::string_view wire);             // without the length
[[nodiscard]] std::size_t kasa_length(std::string_view beginning) noexcept;  // whole answer, bytes; 0: not known yet

}  // namespace prony
