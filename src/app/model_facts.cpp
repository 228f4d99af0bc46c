#include "app/model_facts.hpp"

#include "base/text.hpp"
#include "complexity/model_cost.hpp"

namespace prony::app {

std::vector<Fact> model_facts(const complexity::ModelFiles& model) {
  const complexity::ModelShape& shape = model.shape;
  if (!model.why_no_costs.empty()) return {};
  std::vector<Fact> facts{{"model.architecture", shape.architecture, "file"},
                          {"model.layers", std::to_string(shape.layers.size()), "file"}};
  if (shape.weights_bytes) facts.push_back({"model.weights_bytes", std::to_string(*shape.weights_bytes), "file"});
  // Bytes of tensors whose type nobody knows would be missing in the sums: then they are not told.
  if (shape.weights_bytes)
    for (Fact& fact : facts_of(complexity::token_costs(shape))) facts.push_back(std::move(fact));
  const KvReads reads = complexity::kv_reads(shape);
  if (reads.bytes_per_token + reads.windowed_bytes_per_token <= 0) return facts;
  facts.push_back({"model.kv_bytes_per_token", format_number(reads.bytes_per_token), "file"});
  facts.push_back({"model.kv_windowed_bytes_per_token", format_number(reads.windowed_bytes_per_token), "file"});
  if (reads.windowed_bytes_per_token > 0)
    facts.push_back({"model.kv_window_tokens", format_number(reads.window_tokens), "file"});
  return facts;
}

}  // namespace prony::app
