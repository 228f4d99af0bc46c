// Where the rows come from:
//   labels and chips  NVIDIA Jetson Linux Developer Guide, "Power Management": for Nano and TX1/TX2 the L4T 32
//   editions,
//                     for Xavier those of 32.7 and 35, for Orin those of 34 to 36, for Thor 38; Linux
//                     arch/arm64/boot/dts/nvidia/tegra234-p3701.dtsi and tegra234-p3767.dtsi (labels, shunts)
//   the whole         NVIDIA's forum: 73608 (POM_5V_IN is all of the board, GPU and CPU lie in it), 200883 (VDD_IN is
//                     the module), 81016 (AGX Xavier: the sum of all six), 75574 (SYS5V: all but DDR, CPU, GPU, CV),
//                     217088 (AGX Orin: VIN_SYS_5V0 is not the total), 59528 (TX1: what the carrier's rails are),
//                     366461 (Thor: the INA238 measures all input power, VIN)
#include "sensors/jetson_rails.hpp"

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace prony {

namespace {

constexpr std::array<JetsonRail, 3> nano_rails{
    {{"POM_5V_IN", ""}, {"POM_5V_GPU", "POM_5V_IN"}, {"POM_5V_CPU", "POM_5V_IN"}}};
constexpr std::array<std::string_view, 1> nano_wholes{"POM_5V_IN"};

constexpr std::array<JetsonRail, 9> tx1_rails{{{"VDD_MUX", ""},
                                               {"VDD_IN", "VDD_MUX"},
                                               {"VDD_GPU", "VDD_IN"},
                                               {"VDD_CPU", "VDD_IN"},
                                               {"VDD_5V_IO_SYS", "VDD_MUX"},
                                               {"VDD_3V3_SYS", "VDD_MUX"},
                                               {"VDD_3V3_IO", "VDD_MUX"},
                                               {"VDD_1V8_IO", "VDD_MUX"},
                                               {"VDD_M2_IN", "VDD_MUX"}}};
constexpr std::array<JetsonRail, 12> tx2_rails{{{"VDD_MUX", ""},
                                                {"VDD_IN", "VDD_MUX"},
                                                {"VDD_SYS_GPU", "VDD_IN"},
                                                {"VDD_SYS_SOC", "VDD_IN"},
                                                {"VDD_SYS_CPU", "VDD_IN"},
                                                {"VDD_SYS_DDR", "VDD_IN"},
                                                {"VDD_4V0_WIFI", "VDD_IN"},
                                                {"VDD_5V0_IO_SYS", "VDD_MUX"},
                                                {"VDD_3V3_SYS", "VDD_MUX"},
                                                {"VDD_3V3_IO_SLP", "VDD_MUX"},
                                                {"VDD_1V8_IO", "VDD_MUX"},
                                                {"VDD_3V3_SYS_M2", "VDD_MUX"}}};
constexpr std::array<std::string_view, 2> mux_wholes{"VDD_MUX", "VDD_IN"};

constexpr std::array<JetsonRail, 5> in_rails{{{"VDD_IN", ""},
                                              {"VDD_CPU_GPU", "VDD_IN"},
                                              {"VDD_CPU_GPU_CV", "VDD_IN"},
                                              {"VDD_SOC", "VDD_IN"},
                                              {"VDD_SYS_SOC", "VDD_IN"}}};
constexpr std::array<std::string_view, 1> in_wholes{"VDD_IN"};

constexpr std::array<JetsonRail, 6> agx_xavier_rails{
    {{"GPU", ""}, {"CPU", ""}, {"SOC", ""}, {"CV", ""}, {"VDDRQ", ""}, {"SYS5V", ""}}};
constexpr std::array<std::string_view, 1> agx_xavier_wholes{"GPU+CPU+SOC+CV+VDDRQ+SYS5V"};

// VDDQ_VDD2_1V8AO is made of the 5 V of VIN_SYS_5V0 (its bus voltage shows 5 V): inside it, not beside it.
constexpr std::array<JetsonRail, 4> agx_orin_rails{
    {{"VDD_GPU_SOC", ""}, {"VDD_CPU_CV", ""}, {"VIN_SYS_5V0", ""}, {"VDDQ_VDD2_1V8AO", "VIN_SYS_5V0"}}};
constexpr std::array<std::string_view, 1> agx_orin_wholes{"VDD_GPU_SOC+VDD_CPU_CV+VIN_SYS_5V0"};

constexpr std::array<JetsonRail, 4> thor_rails{
    {{"VIN", ""}, {"VDD_GPU", "VIN"}, {"VDD_CPU_SOC_MSS", "VIN"}, {"VIN_SYS_5V0", "VIN"}}};
constexpr std::array<std::string_view, 1> thor_wholes{"VIN"};

constexpr std::array<JetsonBoard, 9> boards{{
    {"Jetson Nano", "p3448", "Jetson Nano", nano_rails, nano_wholes, "the board behind its 5 V input",
     "L4T 32 guide, forum 73608"},
    {"Jetson TX1", "p2180 p2371", "jetson_tx1|Jetson TX1", tx1_rails, mux_wholes,
     "the carrier board with the module (VDD_MUX), or the module (VDD_IN)", "L4T 28 guide, forum 59528"},
    {"Jetson TX2", "p3310 p3489", "quill|Jetson TX2|Jetson-TX2", tx2_rails, mux_wholes,
     "the carrier board with the module (VDD_MUX), or the module (VDD_IN)", "L4T 32 guide, forum 59528"},
    {"Jetson TX2 NX", "p3636", "Jetson TX2 NX", in_rails, in_wholes, "the module, without its carrier board",
     "L4T 32.7 guide, forum 200883"},
    {"Jetson Xavier NX", "p3668", "Xavier NX", in_rails, in_wholes, "the module, without its carrier board",
     "L4T 32.7 guide, forum 200883"},
    {"Jetson AGX Xavier", "p2888 p2972", "Jetson-AGX|AGX Xavier", agx_xavier_rails, agx_xavier_wholes,
     "the module, without its carrier board", "L4T 32.7 guide, forum 81016"},
    {"Jetson AGX Orin", "p3701", "AGX Orin", agx_orin_rails, agx_orin_wholes, "the module, without its carrier board",
     "L4T 35 guide, tegra234-p3701.dtsi, forum 217088"},
    {"Jetson Orin Nano / NX", "p3767", "Orin Nano|Orin NX", in_rails, in_wholes,
     "the module, without its carrier board", "L4T 36 guide, tegra234-p3767.dtsi, forum 200883"},
    {"Jetson AGX Thor", "p3834", "AGX Thor", thor_rails, thor_wholes, "the module with its carrier board",
     "L4T 38 guide, forum 366461"},
}};

constexpr std::string_view compatible_file = "/sys/firmware/devicetree/base/compatible";
constexpr std::string_view model_file = "/sys/firmware/devicetree/base/model";

std::string file_text(Machine& machine, std::string_view file) {
  return machine.read_text(std::string(file)).value_or(std::string());
}

bool any_in(std::string_view text, std::string_view words, char separator) {
  return std::ranges::any_of(split(words, separator), [&](std::string_view word) {
    return !word.empty() && text.find(word) != std::string_view::npos;
  });
}

const FoundRail* found(std::span<const FoundRail> rails, std::string_view label) {
  const auto at = std::ranges::find(rails, label, &FoundRail::label);
  return at == rails.end() ? nullptr : &*at;
}

// The row's entry of a label; null: it is not in the row.
const JetsonRail* listed(const JetsonBoard& board, std::string_view label) {
  const auto at = std::ranges::find(board.rails, label, &JetsonRail::label);
  return at == board.rails.end() ? nullptr : &*at;
}

// The nearest rail above that was found; null: none.
const FoundRail* holder(const JetsonBoard& board, std::span<const FoundRail> rails, const JetsonRail& rail) {
  const JetsonRail* at = &rail;
  while (at != nullptr && !at->inside.empty()) {
    if (const FoundRail* above = found(rails, at->inside)) return above;
    at = listed(board, at->inside);
  }
  return nullptr;
}

}  // namespace

std::span<const JetsonBoard> jetson_boards() noexcept { return boards; }

bool is_jetson(Machine& machine) {
  return file_text(machine, compatible_file).find("nvidia,tegra") != std::string::npos ||
         file_text(machine, model_file).find("Jetson") != std::string::npos;
}

const JetsonBoard* jetson_board(Machine& machine) {
  const auto compatible = file_text(machine, compatible_file);
  for (const JetsonBoard& board : boards)
    if (any_in(compatible, board.ids, ' ')) return &board;
  // "Jetson TX2 NX" before "Jetson TX2": the longest text that fits says most.
  const auto model = file_text(machine, model_file);
  const JetsonBoard* best = nullptr;
  std::size_t longest = 0;
  for (const JetsonBoard& board : boards)
    for (const auto text : split(board.models, '|'))
      if (model.find(text) != std::string::npos && text.size() >= longest) {
        best = &board;
        longest = text.size();
      }
  return best;
}

std::string arrange_rails(const JetsonBoard& board, std::span<const FoundRail> rails, std::vector<Channel>& channels) {
  std::string_view whole;
  for (const auto candidate : board.wholes)
    if (whole.empty() &&
        std::ranges::all_of(split(candidate, '+'), [&](auto label) { return found(rails, label) != nullptr; }))
      whole = candidate;
  const auto outer = whole.empty() ? std::vector<std::string_view>{} : split(whole, '+');
  for (const FoundRail& rail : rails) {
    const JetsonRail* row = listed(board, rail.label);
    if (row == nullptr || found(rails, rail.label) != &rail) continue;  // a second one of that name: which is it?
    Channel& channel = channels[rail.channel];
    if (const FoundRail* above = holder(board, rails, *row)) channel.part_of = channels[above->channel].id;
    const bool is_outer = std::ranges::find(outer, std::string_view(rail.label)) != outer.end();
    channel.coverage_known = is_outer || (channel.part_of && !whole.empty());
  }
  return std::string(whole);
}

std::optional<std::string> rails_note(Machine& machine, std::span<const FoundRail> rails, const std::string& whole) {
  if (rails.empty() || !whole.empty() || !is_jetson(machine)) return std::nullopt;
  if (const JetsonBoard* board = jetson_board(machine)) {
    std::string words = "which rail is the whole is not known: of a " + std::string(board->name) + " it is ";
    for (std::size_t i = 0; i < board->wholes.size(); ++i)
      words += (i == 0 ? "" : ", or ") + std::string(board->wholes[i]);
    return words + ", and not all of that can be read here";
  }
  const auto model = printable(file_text(machine, model_file), 80);
  return "which rail is the whole is not known: " + (model.empty() ? "this board" : "\"" + model + "\"") +
         " is not in the table of Jetson boards; rails are shown by their labels and not added up";
}

}  // namespace prony
