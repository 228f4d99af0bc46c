// BERT's encoder with its pooler, as exporters write it: attention in single products, GELU by the error function.
#include "synth/onnx_architectures.hpp"

namespace prony::architectures {

namespace {

constexpr std::int64_t bert_vocabulary = 30'522, bert_positions = 512, head_width = 64;

SynthValue gelu(OnnxBuilder& net, const SynthValue& x, const std::string& name) {
  SynthValue y = net.unary(net.scaled(x, name + ".div", "Div", 1.41421356F), name + ".erf", "Erf");
  y = net.binary(x, net.scaled(y, name + ".add", "Add", 1), name + ".mul", "Mul");
  return net.scaled(y, name + ".half", "Mul", 0.5F);
}

SynthValue attention(OnnxBuilder& net, const SynthValue& x, const SynthValue& mask, const std::string& name) {
  const std::int64_t hidden = x.shape[2], length = x.shape[1], heads = hidden / head_width;
  const auto part = [&](const std::string& which, std::vector<std::int64_t> order) {
    SynthValue y = net.linear(x, name + "." + which, hidden);
    y = net.reshape(y, name + "." + which + ".heads", {0, length, heads, head_width});
    return net.transpose(y, name + "." + which + ".turned", std::move(order));
  };
  const SynthValue query = part("query", {0, 2, 1, 3}), key = part("key", {0, 2, 3, 1}),
                   value = part("value", {0, 2, 1, 3});
  SynthValue y = net.scaled(net.product(query, key, name + ".scores"), name + ".scaled", "Div", 8);
  y = net.softmax(net.binary(y, mask, name + ".masked", "Add"), name + ".probabilities");
  y = net.transpose(net.product(y, value, name + ".context"), name + ".context.turned", {0, 2, 1, 3});
  y = net.reshape(y, name + ".context.joined", {0, length, hidden});
  return net.linear(y, name + ".output", hidden);
}

}  // namespace

void bert(OnnxBuilder& net, const ArchitectureScale& scale, int layers, std::int64_t hidden_at_1) {
  const std::int64_t hidden = scale.channels(hidden_at_1, head_width), length = scale.resolution;
  const SynthValue ids = net.numbers("input_ids", length), types = net.numbers("token_type_ids", length),
                   seen = net.numbers("attention_mask", length);
  SynthValue x = net.embedding(ids, "embeddings.word", bert_vocabulary, hidden);
  x = net.binary(x, net.embedding(types, "embeddings.type", 2, hidden), "embeddings.add_type", "Add");
  x = net.binary(x, net.first_rows("embeddings.position", length, bert_positions, hidden), "embeddings.add_position",
                 "Add");
  x = net.layer_norm(x, "embeddings.norm");
  SynthValue mask = net.reshape(net.as_float(seen, "mask.float"), "mask.shaped", {0, 1, 1, length});
  mask = net.scaled(net.scaled(mask, "mask.less_one", "Sub", 1), "mask.scaled", "Mul", 10'000);
  for (int i = 0; i < layers; ++i) {
    const std::string name = "layer." + std::to_string(i);
    SynthValue y = net.binary(x, attention(net, x, mask, name + ".attention"), name + ".attention.add", "Add");
    x = net.layer_norm(y, name + ".attention.norm");
    y = gelu(net, net.linear(x, name + ".intermediate", 4 * hidden), name + ".gelu");
    y = net.binary(x, net.linear(y, name + ".output", hidden), name + ".output.skip", "Add");
    x = net.layer_norm(y, name + ".output.norm");
  }
  x = net.unary(net.dense(net.first_of_second(x, "pooler.first"), "pooler.dense", hidden), "pooler.tanh", "Tanh");
  net.output(net.renamed(x, "output"));
}

}  // namespace prony::architectures
