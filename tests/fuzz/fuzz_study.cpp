// parts: study
// Any text as a study file, in either language, and as a campaign's: an error that says where, or a plan whose runs can
// all be told as command lines, in an order that has each once a cycle.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "study/campaign.hpp"
#include "study/llenergymeasure.hpp"
#include "study/plan.hpp"

namespace {

using namespace prony;
using namespace prony::study;

void read_as_campaign(const Value& value, const std::string& name) {
  static constexpr std::array<std::string_view, 2> architectures{"resnet18", "lenet"};
  const auto campaign = read_campaign(value, name, architectures);
  if (!campaign) {
    if (campaign.error().what.empty() || !campaign.error().where.starts_with(name)) std::abort();
    return;
  }
  const auto all = configurations(*campaign);
  if (campaign->models.empty() || all.empty() || all.size() > most_variants) std::abort();
  const Plan plan = campaign_plan(*campaign, all);
  for (const Variant& variant : plan.variants)
    if (command_line(plan, variant).size() < 4) std::abort();
}

void read_as(const std::string& text, const std::string& name) {
  static const Vocabulary words{{"engine", "model", "threads", "a", "b"}, {"a", "b"}, {"b"}, {"llama", "e"}};
  const auto value = read_study_text(text, name);
  if (!value) {
    if (value.error().what.empty() || !value.error().where.starts_with(name)) std::abort();
    return;
  }
  (void)canonical(*value);
  read_as_campaign(*value, name);
  if (const auto taken = from_llenergymeasure(*value, name))
    if (taken->toml.empty() || !read_study_text(taken->toml, "taken.toml")) std::abort();
  PlanChoices choices;
  std::string other = name;  // what is wrong in the base is said of the base's file
  if (const auto named = base_file_of(*value, name); named && !named->empty()) {
    choices.base = BaseFile{*named, *value};
    other = *named;
  }
  const auto plan = make_plan(*value, name, words, choices);
  if (!plan) {
    const std::string& where = plan.error().where;
    if (plan.error().what.empty() || !(where.starts_with(name) || where.starts_with(other))) std::abort();
    return;
  }
  if (plan->variants.empty() || plan->variants.size() > most_variants) std::abort();
  for (const Variant& variant : plan->variants)
    if (command_line(*plan, variant).empty()) std::abort();
  if (plan->variants.size() * plan->execution.cycles < 10'000 &&
      plan->slots().size() != plan->variants.size() * plan->execution.cycles)
    std::abort();
  if (!design_drift(design_rows(*plan), design_rows(*plan)).empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  read_as(text, "f.toml");
  read_as(text, "f.yaml");
  return 0;
}
