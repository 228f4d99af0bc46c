#include "model/slo.hpp"

#include <array>
#include <cmath>

#include "base/text.hpp"

namespace prony {

namespace {

struct Preset {
  std::string_view name;
  double ttft_ms, tpot_ms;
};
constexpr std::array<Preset, 11> presets{{
    {"llama3.1-8b", 2000, 100},
    {"llama3.1-8b-interactive", 500, 30},
    {"llama2-70b", 2000, 200},
    {"llama2-70b-interactive", 450, 40},
    {"llama3.1-405b", 6000, 175},
    {"llama3.1-405b-interactive", 4500, 80},
    {"mixtral-8x7b", 2000, 200},
    {"deepseek-r1", 2000, 80},
    {"deepseek-r1-interactive", 1500, 15},
    {"gpt-oss-120b", 3000, 80},
    {"gpt-oss-120b-interactive", 2000, 20},
}};

Unexpected<Error> no_service_level(std::string_view text) {
  std::string names;
  for (const std::string& name : slo_presets()) names += (names.empty() ? "" : ", ") + name;
  return fail(ErrorCode::usage, "'" + printable(text, 60) + "' is no service level", "--slo",
              "Limits such as  --slo ttft=500ms,tpot=50ms,e2e=10s  (any of them), or one of " + names);
}

}  // namespace

std::vector<std::string> slo_presets() {
  std::vector<std::string> names;
  for (const Preset& preset : presets) names.push_back("mlperf:" + std::string(preset.name));
  return names;
}

Result<Slo> parse_slo(std::string_view text) {
  Slo slo;
  if (text.starts_with("mlperf:")) {
    for (const Preset& preset : presets)
      if (preset.name == text.substr(7)) {
        slo.ttft_s = preset.ttft_ms * 1e-3;
        slo.tpot_s = preset.tpot_ms * 1e-3;
        slo.preset = text;
        return slo;
      }
    return no_service_level(text);
  }
  for (const std::string_view part : split(text, ',')) {
    const auto halves = split(part, '=');
    const auto limit = halves.size() == 2 ? parse_duration_ns(halves[1]) : std::nullopt;
    if (!limit || *limit <= 0) return no_service_level(text);
    const std::string_view name = trim(halves[0]);
    auto* field = name == "ttft" ? &slo.ttft_s : name == "tpot" ? &slo.tpot_s : name == "e2e" ? &slo.e2e_s : nullptr;
    if (field == nullptr || *field) return no_service_level(text);
    *field = static_cast<double>(*limit) * 1e-9;
  }
  return slo;
}

std::string describe(const Slo& slo) {
  std::string text;
  const auto add = [&](const char* name, const std::optional<double>& limit_s) {
    if (!limit_s) return;
    text += (text.empty() ? "" : ", ") + std::string(name) + " ≤ " +
            (*limit_s < 1 ? format_number(std::round(*limit_s * 1e9) / 1e6) + " ms" : format_number(*limit_s) + " s");
  };
  add("TTFT", slo.ttft_s);
  add("TPOT", slo.tpot_s);
  add("E2E", slo.e2e_s);
  return text;
}

std::optional<bool> within(const Slo& slo, std::optional<double> ttft_s, std::optional<double> tpot_s,
                           std::optional<double> e2e_s, std::optional<std::int64_t> output_tokens) {
  if (output_tokens == 1) tpot_s = 0;
  bool unknown = false;
  for (const auto& [limit, value] :
       {std::pair{slo.ttft_s, ttft_s}, std::pair{slo.tpot_s, tpot_s}, std::pair{slo.e2e_s, e2e_s}}) {
    if (limit && value && *value > *limit) return false;  // one is enough, whatever the others are
    unknown = unknown || (limit && !value);
  }
  if (unknown) return std::nullopt;
  return true;
}

}  // namespace prony
