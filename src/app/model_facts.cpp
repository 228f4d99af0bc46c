#include "app/model_facts.hpp"

#include "base/text.hpp"
#include "complexity/model_cost.hpp"

namespace prony::app {

std::vector<Fact> model_facts(const std::string& path) {
  const auto header = complexity::read_gguf(path);
  if (!header) return {};
  const auto shape = complexity::shape_of(*header);
  if (!shape) return {};
  std::vector<Fact> facts{{"model.architecture", shape->architecture, "file"},
                          {"model.layers", std::to_string(shape->layers.size()), "file"}};
  if (shape->weights_bytes) facts.push_back({"model.weights_bytes", std::to_string(*shape->weights_bytes), "file"});
  const KvReads reads = complexity::kv_reads(*shape);
  if (reads.bytes_per_token + reads.windowed_bytes_per_token <= 0) return facts;
  facts.push_back({"model.kv_bytes_per_token", format_number(reads.bytes_per_token), "file"});
  facts.push_back({"model.kv_windowed_bytes_per_token", format_number(reads.windowed_bytes_per_token), "file"});
  if (reads.windowed_bytes_per_token > 0)
    facts.push_back({"model.kv_window_tokens", format_number(reads.window_tokens), "file"});
  return facts;
}

}  // namespace prony::app
