#include "sensors/cpu_family.hpp"

#include <array>
#include <charconv>
#include <optional>
#include <set>
#include <vector>

#include "base/text.hpp"

namespace prony {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

// A whole word against a pattern: # a digit, & a digit or capital, [abc] one of these, * capitals and + (or none), all
// else itself. Not std::regex: it throws, and takes longer than reading the file.
bool matches(std::string_view word, std::string_view pattern) {
  while (!pattern.empty()) {
    const char want = pattern.front();
    pattern.remove_prefix(1);
    if (want == '*') {
      while (!word.empty() && (is_upper(word.front()) || word.front() == '+')) word.remove_prefix(1);
      continue;
    }
    if (word.empty()) return false;
    const char have = word.front();
    word.remove_prefix(1);
    if (want == '#' ? is_digit(have) : want == '&' ? is_digit(have) || is_upper(have) : false) continue;
    if (want == '[') {
      const auto end = pattern.find(']');
      const bool one = pattern.substr(0, end).find(have) != std::string_view::npos;
      pattern.remove_prefix(end + 1);
      if (one) continue;
      return false;
    }
    if (want == '#' || want == '&' || want != have) return false;
  }
  return word.empty();
}

struct NameRule {
  std::string_view word;     // the brand: must be a word of the name
  std::string_view pattern;  // of the model's word
  std::string_view key;
};

// The first that matches. Digits that tell the generation stand alone: 7xx2 is not 7xx3, 83xx is not 84xx, v3 not v4.
constexpr std::array name_rules{
    NameRule{"EPYC", "[37]&&1*", "epyc-1"},
    NameRule{"EPYC", "7&&2*", "epyc-2"},
    NameRule{"EPYC", "7&&3*", "epyc-3"},
    NameRule{"EPYC", "[89]&&4*", "epyc-4"},
    NameRule{"EPYC", "9&&5*", "epyc-5"},
    NameRule{"EPYC", "4##4*", "raphael"},
    NameRule{"EPYC", "4##5*", "granite-ridge"},
    NameRule{"Opteron", "[28][234]##*", "opteron-k10"},
    NameRule{"Opteron", "[46]1##*", "opteron-k10"},
    NameRule{"Opteron", "[46][23]##*", "opteron-15h"},
    // Emerald Rapids took the fifth series, but its smallest kept Sapphire Rapids' silicon.
    NameRule{"Bronze", "3508U", "sapphire-rapids"},
    NameRule{"Silver", "4509Y", "sapphire-rapids"},
    NameRule{"Silver", "4510*", "sapphire-rapids"},
    NameRule{"Platinum", "[89]1##*", "skylake-server"},
    NameRule{"Gold", "[56]1##*", "skylake-server"},
    NameRule{"Silver", "41##*", "skylake-server"},
    NameRule{"Bronze", "31##*", "skylake-server"},
    NameRule{"Platinum", "[89]2##*", "cascade-lake"},
    NameRule{"Gold", "[56]2##*", "cascade-lake"},
    NameRule{"Silver", "42##*", "cascade-lake"},
    NameRule{"Bronze", "32##*", "cascade-lake"},
    NameRule{"Platinum", "83##H", "cooper-lake"},
    NameRule{"Platinum", "83##HL", "cooper-lake"},
    NameRule{"Gold", "[56]3##H", "cooper-lake"},
    NameRule{"Gold", "[56]3##HL", "cooper-lake"},
    NameRule{"Platinum", "83##*", "ice-lake-server"},
    NameRule{"Gold", "[56]3##*", "ice-lake-server"},
    NameRule{"Silver", "43##*", "ice-lake-server"},
    NameRule{"Platinum", "84##*", "sapphire-rapids"},
    NameRule{"Gold", "[56]4##*", "sapphire-rapids"},
    NameRule{"Silver", "44##*", "sapphire-rapids"},
    NameRule{"Bronze", "34##*", "sapphire-rapids"},
    NameRule{"Max", "94##*", "sapphire-rapids"},
    NameRule{"Xeon", "84##+", "sapphire-rapids"},
    NameRule{"Platinum", "85##*", "emerald-rapids"},
    NameRule{"Gold", "[56]5##*", "emerald-rapids"},
    NameRule{"Silver", "45##*", "emerald-rapids"},
    NameRule{"Xeon", "85##+", "emerald-rapids"},
    NameRule{"Xeon", "63##P", "raptor-lake-server"},
    NameRule{"Xeon", "6[5679]##P*", "granite-rapids"},
    NameRule{"Xeon", "6[5679]##P-*", "granite-rapids"},
    NameRule{"Xeon", "6[67]##E", "sierra-forest"},
    NameRule{"Gold", "6[67]##E", "sierra-forest"},
    NameRule{"Xeon", "D-2[78]##*", "ice-lake-d"},
    NameRule{"Xeon", "D-21##*", "skylake-server"},
    NameRule{"Xeon", "W-[23]1##*", "skylake-server"},
    NameRule{"Xeon", "W-[23]2##*", "cascade-lake"},
    NameRule{"Xeon", "W-33##*", "ice-lake-server"},
    NameRule{"Xeon", "w#-[23][45]##*", "sapphire-rapids"},
    NameRule{"Xeon", "E-2[12]##*", "coffee-lake"},
    NameRule{"Xeon", "E-23##*", "rocket-lake"},
    NameRule{"Xeon", "E-24##*", "raptor-lake-server"},
    NameRule{"Xeon", "E[57]-####*v4", "broadwell-server"},
    NameRule{"Xeon", "E[57]-####*v3", "haswell-server"},
    NameRule{"Xeon", "E[57]-####*v2", "ivy-bridge-server"},
    NameRule{"Xeon", "E5-####*", "sandy-bridge-server"},
    NameRule{"Xeon", "E7-####*", "westmere"},  // the first E7 are Westmere-EX, a generation before the first E5
    NameRule{"Xeon", "E3-####*v6", "kaby-lake"},
    NameRule{"Xeon", "E3-####*v5", "skylake"},
    NameRule{"Xeon", "E3-####*v3", "haswell"},
    NameRule{"Xeon", "E3-####*v2", "ivy-bridge"},
    NameRule{"Xeon", "E3-####*", "sandy-bridge"},
    NameRule{"Xeon", "[XEL]56##", "westmere"},
    NameRule{"Xeon", "5675", "westmere"},
    NameRule{"Xeon", "[XEL]55##", "nehalem"},
    NameRule{"Xeon", "[XEL][37]4##", "nehalem"},
    NameRule{"Xeon", "[XEL]75##", "nehalem"},
    NameRule{"Xeon", "[XEL]5[234]##", "core-2"},
    NameRule{"Xeon", "[XEL]3[123]##", "core-2"},
    NameRule{"Xeon", "[XEL]73##", "core-2"},
    NameRule{"Xeon", "30##", "core-2"},
    NameRule{"Xeon", "51##", "core-2"},
    NameRule{"Altra", "[QM]##-##", "neoverse-n1"},
    NameRule{"Altra", "[QM]###-##", "neoverse-n1"},
    NameRule{"Grace", "Superchip", "neoverse-v2"},
};

// Client parts: the letters behind the number tell the power class, whatever the generation.
constexpr std::array client_rules{
    NameRule{"Ultra", "2##H", "arrow-lake-h"},
    NameRule{"Ultra", "###U", "client-u"},
    NameRule{"Ultra", "###V", "client-p"},
    NameRule{"Ultra", "###H", "client-h"},
    NameRule{"Ultra", "###HX", "client-hx"},
    NameRule{"Ultra", "###*", "client-desktop"},
    NameRule{"", "N#", "client-n"},
    NameRule{"", "N##", "client-n"},
    NameRule{"", "N###", "client-n"},
    NameRule{"", "i#-N###", "client-n"},
    NameRule{"", "i#-####U", "client-u"},
    NameRule{"", "i#-#####U", "client-u"},
    NameRule{"", "i#-####Y", "client-u"},
    NameRule{"", "i#-####G#", "client-u"},
    NameRule{"", "i#-####NG#", "client-u"},
    NameRule{"", "i#-1[23]##P", "client-p"},
    NameRule{"", "i#-####HX", "client-hx"},
    NameRule{"", "i#-#####HX", "client-hx"},
    NameRule{"", "i#-####H*", "client-h"},
    NameRule{"", "i#-#####H*", "client-h"},
    NameRule{"", "i#-####M*", "client-h"},
    NameRule{"", "i#-####Q*", "client-h"},
    NameRule{"", "i#-####*", "client-desktop"},
    NameRule{"", "i#-#####*", "client-desktop"},
};
constexpr std::array ryzen_rules{
    NameRule{"Ryzen", "####U", "ryzen-mobile"},  NameRule{"Ryzen", "####H*", "ryzen-mobile"},
    NameRule{"Ryzen", "####C", "ryzen-mobile"},  NameRule{"Ryzen", "###", "ryzen-mobile"},
    NameRule{"Ryzen", "####*", "ryzen-desktop"}, NameRule{"Ryzen", "####X3D", "ryzen-desktop"},
};

// "Intel(R) Xeon(R) CPU E5-2660 V2 @ 2.20GHz" → Intel Xeon CPU E5-2660v2; what stands behind @ is a clock.
std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words;
  std::string plain(name.substr(0, name.find('@')));
  for (const std::string_view mark : {"(R)", "(r)", "(TM)", "(tm)", "®", "™", ",", "64-Bit"})
    for (auto at = plain.find(mark); at != std::string::npos; at = plain.find(mark))
      plain.replace(at, mark.size(), " ");
  for (const auto part : split(plain, ' ')) {
    std::string word(part);
    if (word.empty()) continue;
    if (word.size() == 2 && (word[0] == 'v' || word[0] == 'V') && is_digit(word[1]) && !words.empty()) {
      words.back() += std::string("v") + word[1];
      continue;
    }
    const bool versioned = word.size() > 4 && word[word.size() - 2] == 'V' && is_digit(word.back()) && word[0] == 'E';
    if (versioned) word[word.size() - 2] = 'v';
    words.push_back(std::move(word));
  }
  return words;
}

template <std::size_t count>
std::string_view first_match(const std::vector<std::string>& words, const std::array<NameRule, count>& rules) {
  for (const auto& rule : rules) {
    bool brand = rule.word.empty(), model = false;
    for (const auto& word : words) {
      brand = brand || word == rule.word;
      model = model || matches(word, rule.pattern);
    }
    if (brand && model) return rule.key;
  }
  return {};
}

struct NumberRule {
  std::string_view vendor;
  int family, first_model, last_model;  // inclusive
  std::string_view key;
};
constexpr std::string_view intel = "GenuineIntel", amd = "AuthenticAMD", arm = "0x41";
constexpr std::array number_rules{
    NumberRule{amd, 0x10, 0x00, 0xff, "opteron-k10"},     NumberRule{amd, 0x15, 0x00, 0x0f, "opteron-15h"},
    NumberRule{amd, 0x17, 0x08, 0x08, "ryzen-desktop"},   NumberRule{amd, 0x17, 0x00, 0x0f, "epyc-1"},
    NumberRule{amd, 0x17, 0x11, 0x2f, "ryzen-mobile"},    NumberRule{amd, 0x17, 0x30, 0x3f, "epyc-2"},
    NumberRule{amd, 0x17, 0x60, 0x6f, "ryzen-mobile"},    NumberRule{amd, 0x17, 0x70, 0x7f, "ryzen-desktop"},
    NumberRule{amd, 0x17, 0x90, 0xaf, "ryzen-mobile"},    NumberRule{amd, 0x19, 0x08, 0x08, "threadripper"},
    NumberRule{amd, 0x19, 0x00, 0x0f, "epyc-3"},          NumberRule{amd, 0x19, 0x18, 0x18, "threadripper"},
    NumberRule{amd, 0x19, 0x10, 0x1f, "epyc-4"},          NumberRule{amd, 0x19, 0x20, 0x2f, "ryzen-desktop"},
    NumberRule{amd, 0x19, 0x40, 0x5f, "ryzen-mobile"},    NumberRule{amd, 0x19, 0x60, 0x6f, "ryzen-desktop"},
    NumberRule{amd, 0x19, 0x70, 0x7f, "ryzen-mobile"},    NumberRule{amd, 0x19, 0xa0, 0xaf, "epyc-4"},
    NumberRule{amd, 0x1a, 0x08, 0x08, "threadripper"},    NumberRule{amd, 0x1a, 0x00, 0x1f, "epyc-5"},
    NumberRule{amd, 0x1a, 0x40, 0x4f, "ryzen-desktop"},   NumberRule{amd, 0x1a, 0x20, 0x2f, "ryzen-mobile"},
    NumberRule{amd, 0x1a, 0x60, 0x7f, "ryzen-mobile"},    NumberRule{intel, 6, 0x0f, 0x0f, "core-2"},
    NumberRule{intel, 6, 0x17, 0x17, "core-2"},           NumberRule{intel, 6, 0x1a, 0x1a, "nehalem"},
    NumberRule{intel, 6, 0x1e, 0x1e, "nehalem"},          NumberRule{intel, 6, 0x2e, 0x2e, "nehalem"},
    NumberRule{intel, 6, 0x2c, 0x2c, "westmere"},         NumberRule{intel, 6, 0x2f, 0x2f, "westmere"},
    NumberRule{intel, 6, 0x2a, 0x2a, "client-desktop"},   NumberRule{intel, 6, 0x2d, 0x2d, "sandy-bridge-server"},
    NumberRule{intel, 6, 0x3a, 0x3a, "client-desktop"},   NumberRule{intel, 6, 0x3e, 0x3e, "ivy-bridge-server"},
    NumberRule{intel, 6, 0x3c, 0x3c, "client-desktop"},   NumberRule{intel, 6, 0x3f, 0x3f, "haswell-server"},
    NumberRule{intel, 6, 0x3d, 0x3d, "client-u"},         NumberRule{intel, 6, 0x45, 0x45, "client-u"},
    NumberRule{intel, 6, 0x46, 0x47, "client-h"},         NumberRule{intel, 6, 0x4e, 0x4e, "client-u"},
    NumberRule{intel, 6, 0x4f, 0x4f, "broadwell-server"}, NumberRule{intel, 6, 0x5e, 0x5e, "client-desktop"},
    NumberRule{intel, 6, 0x6a, 0x6a, "ice-lake-server"},  NumberRule{intel, 6, 0x6c, 0x6c, "ice-lake-d"},
    NumberRule{intel, 6, 0x7d, 0x7e, "client-u"},         NumberRule{intel, 6, 0x8c, 0x8c, "client-u"},
    NumberRule{intel, 6, 0x8d, 0x8d, "client-h"},         NumberRule{intel, 6, 0x8e, 0x8e, "client-u"},
    NumberRule{intel, 6, 0x8f, 0x8f, "sapphire-rapids"},  NumberRule{intel, 6, 0x9e, 0x9e, "client-desktop"},
    NumberRule{intel, 6, 0x97, 0x97, "client-desktop"},   NumberRule{intel, 6, 0x9a, 0x9a, "client-p"},
    NumberRule{intel, 6, 0xa5, 0xa5, "client-desktop"},   NumberRule{intel, 6, 0xa6, 0xa6, "client-u"},
    NumberRule{intel, 6, 0xa7, 0xa7, "client-desktop"},   NumberRule{intel, 6, 0xaa, 0xaa, "client-h"},
    NumberRule{intel, 6, 0xad, 0xae, "granite-rapids"},   NumberRule{intel, 6, 0xaf, 0xaf, "sierra-forest"},
    NumberRule{intel, 6, 0xb7, 0xb7, "client-desktop"},   NumberRule{intel, 6, 0xba, 0xba, "client-p"},
    NumberRule{intel, 6, 0xbd, 0xbd, "client-u"},         NumberRule{intel, 6, 0xbe, 0xbe, "client-n"},
    NumberRule{intel, 6, 0xbf, 0xbf, "client-desktop"},   NumberRule{intel, 6, 0xc5, 0xc5, "arrow-lake-h"},
    NumberRule{intel, 6, 0xc6, 0xc6, "client-desktop"},   NumberRule{intel, 6, 0xcf, 0xcf, "emerald-rapids"},
    NumberRule{arm, -1, 0xd03, 0xd0b, "arm-board"},       NumberRule{arm, -1, 0xd0c, 0xd0c, "neoverse-n1"},
    NumberRule{arm, -1, 0xd40, 0xd40, "neoverse"},        NumberRule{arm, -1, 0xd49, 0xd49, "neoverse"},
    NumberRule{arm, -1, 0xd4f, 0xd4f, "neoverse-v2"},     NumberRule{arm, -1, 0xd84, 0xd84, "neoverse"},
    NumberRule{arm, -1, 0xd8e, 0xd8e, "neoverse"},
};

std::optional<int> hex_or_decimal(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x")) {
    text.remove_prefix(2);
    base = 16;
  }
  int value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

// Arm's cpuinfo does not number packages; sysfs does.
void count_packages(Machine& machine, ProcessorId& id) {
  const unsigned cpus = machine.cpu_count();
  std::set<std::string> packages;
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    const auto text =
        machine.read_text("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/physical_package_id");
    if (!text || text->empty() || text->starts_with("-")) return;
    packages.insert(*text);
  }
  id.packages = static_cast<unsigned>(packages.size());
  if (id.packages > 0 && id.cores == 0) id.cores = cpus / id.packages;
}

}  // namespace

ProcessorId processor_id(std::string_view cpuinfo) {
  ProcessorId id;
  std::set<std::string> packages;
  bool ended = false;  // but for the packages, only the first processor's lines; mixed cores are named by the first
  for_each_line(cpuinfo, [&](std::string_view line) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) {
      ended = ended || !id.vendor.empty();
      return;
    }
    const auto key = trim(line.substr(0, colon));
    const auto value = trim(line.substr(colon + 1));
    if (key == "physical id") packages.emplace(value);
    if (ended) return;
    if (key == "vendor_id" || key == "CPU implementer") id.vendor = value;
    if (key == "model name") id.model_name = value;
    if (key == "cpu family") id.family = hex_or_decimal(value).value_or(-1);
    if (key == "model" || key == "CPU part") id.model = hex_or_decimal(value).value_or(-1);
    if (key == "stepping" || key == "CPU revision") id.stepping = hex_or_decimal(value).value_or(-1);
    if (key == "cpu cores") id.cores = static_cast<unsigned>(std::max(hex_or_decimal(value).value_or(0), 0));
    if (key == "flags") id.hypervisor = (" " + std::string(value) + " ").find(" hypervisor ") != std::string::npos;
  });
  id.packages = static_cast<unsigned>(packages.size());
  return id;
}

ProcessorId processor_id(Machine& machine) {
  const auto text = machine.read_text("/proc/cpuinfo");
  auto id = text ? processor_id(*text) : ProcessorId{};
  id.board = machine.read_text("/sys/firmware/devicetree/base/model").value_or("");
  if (text && text->size() >= 60 * 1024) id.packages = 0;  // cut: the last packages may be missing
  if (id.packages == 0 && !id.vendor.empty()) count_packages(machine, id);
  return id;
}

std::string_view cpu_family_of_name(std::string_view model_name) {
  const auto words = words_of(model_name);
  for (const auto& word : words)
    if (word == "Threadripper") return "threadripper";
  if (const auto key = first_match(words, name_rules); !key.empty()) return key;
  if (const auto key = first_match(words, ryzen_rules); !key.empty()) return key;
  return first_match(words, client_rules);
}

std::string_view cpu_family_of_number(const ProcessorId& processor) {
  // One number for three: stepping 5 to 7 is Cascade Lake, 10 and 11 Cooper Lake (intel-family.h, microcode lists).
  if (processor.vendor == intel && processor.family == 6 && processor.model == 0x55)
    return processor.stepping >= 10 ? "cooper-lake" : processor.stepping >= 5 ? "cascade-lake" : "skylake-server";
  for (const auto& rule : number_rules)
    if (rule.vendor == processor.vendor && rule.family == processor.family && rule.first_model <= processor.model &&
        processor.model <= rule.last_model)
      return rule.key;
  return {};
}

std::string_view cpu_family(const ProcessorId& processor) {
  for (const auto& [start, key] : {std::pair<std::string_view, std::string_view>{"Raspberry Pi 3", "pi-3"},
                                   {"Raspberry Pi Zero 2", "pi-3"},
                                   {"Raspberry Pi 4", "pi-4"},
                                   {"Raspberry Pi Compute Module 4", "pi-4"},
                                   {"Raspberry Pi 5", "pi-5"},
                                   {"Raspberry Pi Compute Module 5", "pi-5"}})
    if (processor.board.starts_with(start)) return key;
  if (const auto key = cpu_family_of_name(processor.model_name); !key.empty()) return key;
  return cpu_family_of_number(processor);
}

}  // namespace prony
