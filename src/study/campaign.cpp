#include "study/campaign.hpp"

#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "study/execution.hpp"
#include "study/fields.hpp"

namespace prony::study {

namespace {

constexpr std::size_t most_values_of_an_axis = 64, most_campaign_models = 1000;

std::function<bool(const Value&)> numbers_field(std::vector<std::int64_t>& into, std::int64_t most) {
  return [&into, most](const Value& value) {
    into.clear();
    const std::vector<Value> values = value.is(Value::Kind::list) ? value.list : std::vector<Value>{value};
    for (const Value& one : values) {
      if (!one.is(Value::Kind::integer) || one.integer < 1 || one.integer > most) return false;
      if (std::ranges::find(into, one.integer) == into.end()) into.push_back(one.integer);
    }
    return !into.empty() && into.size() <= most_values_of_an_axis;
  };
}

std::function<bool(const Value&)> words_field(std::vector<std::string>& into) {
  return [&into](const Value& value) {
    into.clear();
    const std::vector<Value> values = value.is(Value::Kind::list) ? value.list : std::vector<Value>{value};
    for (const Value& one : values) {
      if (!one.is(Value::Kind::text) || one.text.empty()) return false;
      into.push_back(one.text);
    }
    return into.size() <= most_campaign_models;
  };
}

std::function<bool(const Value&)> word_field(std::string& into) {
  return [&into](const Value& value) { return into = value.text, value.is(Value::Kind::text) && !into.empty(); };
}

std::string stem_of(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  return name.substr(0, name.rfind(".onnx"));
}

struct Defaults {
  CampaignModel axes;
  std::vector<std::string> models;
};

Result<void> read_campaign_table(const Value& table, const std::string& file, Campaign& campaign, Defaults& defaults) {
  Execution& e = campaign.execution;
  return take_fields(
      table, file, "campaign",
      {{"name", "a text", word_field(campaign.name)},
       {"models", "a list of architectures and files", words_field(defaults.models)},
       {"batches", "whole numbers from 1 to 65536", numbers_field(defaults.axes.batches, 65'536)},
       {"resolutions", "whole numbers from 1 to 65536", numbers_field(defaults.axes.resolutions, 65'536)},
       {"threads", "whole numbers from 1 to 4096", numbers_field(defaults.axes.threads, 4096)},
       {"runs", "a whole number from 1", whole_number(campaign.runs, 1, 1'000'000)},
       {"warmup", "a whole number from 0", whole_number(campaign.warm_up, 0, 1'000'000)},
       {"most-gflop", "a whole number of GFLOP, 0: no limit", whole_number(campaign.most_gflop, 0, 1'000'000'000)},
       {"cycles", "a whole number from 1 to 1000", whole_number(e.cycles, 1, 1000)},
       {"order", "\"shuffle\", \"sequential\", \"interleave\", \"reverse\" or \"counterbalanced\"",
        [&](const Value& v) {
          const auto order = order_from(v.text);
          e.order = order.value_or(e.order);
          return order.has_value();
        }},
       {"seed", "a whole number from 0", seed_field(e.seed)},
       {"idle", a_duration, duration_field(campaign.idle_ns)},
       {"interval", a_duration, duration_field(campaign.interval_ns)},
       {"sensors", "names of sensors, by commas", word_field(campaign.sensors)},
       {"sysfs", "a folder", word_field(campaign.sysfs)},
       {"rest", a_duration, duration_field(e.experiment_gap_ns)},
       {"cycle-rest", a_duration, duration_field(e.cycle_gap_ns)},
       {"timeout", a_duration, [&](const Value& v) { return duration_field(e.timeout_ns)(v) && e.timeout_ns > 0; }},
       {"wall-limit", a_duration, duration_field(e.wall_limit_ns)},
       {"retries", "a whole number from 0 to 20", whole_number(e.retries, 0, 20)},
       {"stop-after", "a whole number of failed runs in a row, 0: never", whole_number(e.stop_after, 0, 100'000)},
       {"of-cycles", "\"middle\" or \"least\"",
        [&](const Value& v) {
          campaign.least_of_cycles = v.text == "least";
          return campaign.least_of_cycles || v.text == "middle";
        }},
       {"keep-models", "true or false",
        [&](const Value& v) { return campaign.keep_models = v.boolean, v.is(Value::Kind::boolean); }}});
}

// An architecture by name, or a file.
Result<void> take_model(CampaignModel model, const std::string& file, std::span<const std::string_view> architectures,
                        Campaign& campaign) {
  const auto bad = [&](std::string what, std::string fix) {
    return fail(ErrorCode::usage, std::move(what), at_line(file, model.line), std::move(fix));
  };
  if (model.architecture.empty() == model.file.empty())
    return bad("a model is an architecture or a file", "Write  arch = \"resnet18\"  or  file = \"own.onnx\".");
  if (!model.architecture.empty()) {
    const std::vector<std::string> names(architectures.begin(), architectures.end());
    if (std::ranges::find(names, model.architecture) == names.end()) {
      const auto near = nearest_name(model.architecture, names);
      return bad("no architecture is called '" + printable(model.architecture, 60) + "'",
                 near ? "Did you mean '" + *near + "'?" : "prony synth onnx --list  shows them; a file ends in .onnx.");
    }
    if (!model.shapes.empty()) return bad("an architecture has no input-shape", "Say its batches and resolutions.");
  } else if (!model.file.ends_with(".onnx")) {
    return bad("'" + printable(model.file, 60) + "' is no ONNX file by its name", "Its name ends in .onnx.");
  }
  if (model.name.empty()) model.name = model.architecture.empty() ? stem_of(model.file) : model.architecture;
  for (const CampaignModel& other : campaign.models)
    if (other.name == model.name)
      return bad("two models are called '" + printable(model.name, 60) + "'",
                 "A network's name tells what is held out together: give one of them another  name.");
  campaign.models.push_back(std::move(model));
  return {};
}

Result<void> read_models(const Value& root, const std::string& file, const Defaults& defaults,
                         std::span<const std::string_view> architectures, Campaign& campaign) {
  const Value* table = root.find("campaign");
  for (const std::string& word : defaults.models) {
    CampaignModel model = defaults.axes;
    (word.ends_with(".onnx") ? model.file : model.architecture) = word;
    if (!model.file.empty()) model.resolutions.clear();
    model.line = table == nullptr || table->find("models") == nullptr ? 0 : table->find("models")->line;
    if (auto taken = take_model(std::move(model), file, architectures, campaign); !taken) return taken;
  }
  const Value* list = root.find("models");
  if (list == nullptr) return {};
  if (!list->is(Value::Kind::list) || list->list.size() > most_campaign_models)
    return fail(ErrorCode::usage, "'models' is no list of tables, or longer than 1000", at_line(file, list->line),
                "Write  [[models]]  and below it  arch = \"resnet18\".");
  for (const Value& item : list->list) {
    CampaignModel model = defaults.axes, own;
    if (!item.is(Value::Kind::table))
      return fail(ErrorCode::usage, "a model is no table", at_line(file, item.line),
                  "Write  [[models]]; short names belong into  models = [\"…\"]  under [campaign].");
    auto read = take_fields(item, file, "models",
                            {{"arch", "a text", word_field(model.architecture)},
                             {"file", "a text", word_field(model.file)},
                             {"name", "a text", word_field(model.name)},
                             {"batches", "whole numbers from 1 to 65536", numbers_field(own.batches, 65'536)},
                             {"resolutions", "whole numbers from 1 to 65536", numbers_field(own.resolutions, 65'536)},
                             {"threads", "whole numbers from 1 to 4096", numbers_field(own.threads, 4096)},
                             {"input-shape", "a text, or a list of them", words_field(model.shapes)}});
    if (!read) return read;
    model.line = item.line;
    model.batches_told = !own.batches.empty();
    if (!model.file.empty()) {
      if (!own.resolutions.empty())
        return fail(ErrorCode::usage, "a file has its own resolution", at_line(file, item.line),
                    "Where it is left open:  input-shape = \"input:1x3x224x224\".");
      model.resolutions.clear();
    }
    for (auto axis : {&CampaignModel::batches, &CampaignModel::resolutions, &CampaignModel::threads})
      if (!(own.*axis).empty()) model.*axis = own.*axis;
    if (auto taken = take_model(std::move(model), file, architectures, campaign); !taken) return taken;
  }
  return {};
}

void set_word(Variant& variant, const std::string& key, std::string value) {
  variant.settings.push_back({key, text_value(std::move(value)), "campaign", 0});
}

}  // namespace

std::string Configuration::name() const {
  std::string text = "b" + std::to_string(batch);
  if (resolution > 0) text += "-r" + std::to_string(resolution);
  return text + "-t" + std::to_string(threads);
}

std::size_t runs_of(const Campaign& campaign, double flop) noexcept {
  if (campaign.most_gflop == 0 || !(flop > 0)) return campaign.runs;
  const double most = static_cast<double>(campaign.most_gflop) * 1e9 / flop;
  if (most >= static_cast<double>(campaign.runs)) return campaign.runs;
  return std::max<std::size_t>(std::min(campaign.runs, fewest_campaign_runs), static_cast<std::size_t>(most));
}

Result<Campaign> read_campaign(const Value& root, const std::string& file,
                               std::span<const std::string_view> architectures) {
  if (!root.is(Value::Kind::table))
    return fail(ErrorCode::usage, "there is nothing in it", file, "docs/predict.md shows a whole campaign.");
  const std::vector<std::string> known{"campaign", "models", "gate"};
  for (const Entry& entry : root.table)
    if (std::ranges::find(known, entry.key) == known.end()) {
      const auto near = nearest_name(entry.key, known);
      return fail(ErrorCode::usage, "unknown key '" + printable(entry.key, 60) + "'", at_line(file, entry.line),
                  near ? "Did you mean '" + *near + "'?" : "There are: campaign, models, gate.");
    }
  Campaign campaign;
  campaign.execution.order = Order::shuffle;
  campaign.execution.seed = 1;
  campaign.execution.silence_ns = 0;  // a run says nothing until its end; `timeout` ends it
  Defaults defaults;
  defaults.axes.batches = {1}, defaults.axes.threads = {1};
  for (const char* name : {"campaign", "gate"}) {
    const Value* table = root.find(name);
    if (table == nullptr) continue;
    if (!table->is(Value::Kind::table))
      return fail(ErrorCode::usage, "'" + std::string(name) + "' is no table", at_line(file, table->line),
                  "Write  [" + std::string(name) + "]  and its keys below.");
    auto read = std::string_view(name) == "gate" ? read_gate(*table, file, campaign.execution)
                                                 : read_campaign_table(*table, file, campaign, defaults);
    if (!read) return Unexpected<Error>(read.error());
  }
  if (auto read = read_models(root, file, defaults, architectures, campaign); !read)
    return Unexpected<Error>(read.error());
  if (campaign.models.empty())
    return fail(ErrorCode::usage, "it names no models", file,
                "Write  models = [\"resnet18\", \"own.onnx\"]  under [campaign].");
  if (configurations(campaign).size() > most_variants)
    return fail(ErrorCode::full, "more than " + std::to_string(most_variants) + " configurations", file,
                "Name fewer batch sizes, resolutions or threads.");
  return campaign;
}

std::vector<Configuration> configurations(const Campaign& campaign) {
  std::vector<Configuration> all;
  for (std::size_t m = 0; m < campaign.models.size(); ++m) {
    const CampaignModel& model = campaign.models[m];
    const std::vector<std::int64_t> own{0};
    for (const std::int64_t resolution : model.resolutions.empty() ? own : model.resolutions)
      for (const std::int64_t batch : model.batches)
        for (const std::int64_t threads : model.threads) {
          Configuration one;
          one.model = m, one.batch = batch, one.resolution = resolution, one.threads = threads;
          all.push_back(std::move(one));
          if (all.size() > most_variants) return all;  // refused
        }
  }
  return all;
}

Plan campaign_plan(const Campaign& campaign, const std::vector<Configuration>& all) {
  Plan plan;
  plan.name = campaign.name;
  plan.kind = Kind::layers;
  plan.varied = {"model", "batch", "threads"};
  plan.execution = campaign.execution;
  for (const Configuration& one : all) {
    const CampaignModel& model = campaign.models[one.model];
    Variant variant;
    variant.name = model.name + " " + one.name();
    set_word(variant, "model", one.path);
    if (one.open_batch) set_word(variant, "batch", std::to_string(one.batch));
    set_word(variant, "threads", std::to_string(one.threads));
    set_word(variant, "runs", std::to_string(runs_of(campaign, one.flop)));
    set_word(variant, "warmup", std::to_string(campaign.warm_up));
    for (const std::string& shape : model.shapes) set_word(variant, "input-shape", shape);
    if (campaign.idle_ns > 0) set_word(variant, "baseline", std::to_string(campaign.idle_ns / 1'000'000) + "ms");
    if (campaign.interval_ns > 0)
      set_word(variant, "interval", std::to_string(campaign.interval_ns / 1'000'000) + "ms");
    if (!campaign.sensors.empty()) set_word(variant, "sensors", campaign.sensors);
    if (!campaign.sysfs.empty()) set_word(variant, "sysfs", campaign.sysfs);
    for (const Setting& setting : variant.settings)
      variant.canonical += setting.key + " = " + canonical(setting.value) + "\n";
    variant.hash = hash_of(variant.canonical);
    plan.variants.push_back(std::move(variant));
  }
  plan.design = "kind = layers\n";
  for (const DesignRow& row : design_rows(plan)) plan.design += "[" + row.name + "]\n" + row.canonical;
  return plan;
}

}  // namespace prony::study
