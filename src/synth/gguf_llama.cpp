#include "synth/gguf_llama.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include "base/text.hpp"
#include "synth/model_output.hpp"

namespace prony {

namespace {

constexpr std::uint64_t alignment = 32;
constexpr std::uint32_t type_u32 = 4, type_i32 = 5, type_f32 = 6, type_bool = 7, type_string = 8, type_array = 9;
constexpr std::uint32_t first_byte_token = 3, byte_tokens = 256;

// Numbers of ggml: tensor type and the file's general type.
struct QuantFacts {
  std::uint32_t tensor_type, file_type;
  std::uint64_t block, block_bytes;  // elements, bytes
};
QuantFacts facts_of(SynthQuant quant) {
  switch (quant) {
    case SynthQuant::f32: return {0, 0, 1, 4};
    case SynthQuant::f16: return {1, 1, 1, 2};
    case SynthQuant::q8_0: return {8, 7, 32, 34};
  }
  return {0, 0, 1, 4};
}

struct Tensor {
  std::string name;
  std::uint64_t row = 0, rows = 1;  // ne[0], ne[1]
  bool norm = false;                // F32, all ones
  bool output = false;              // the control tokens' rows are zero
  std::uint64_t offset = 0;

  [[nodiscard]] std::uint64_t elements() const { return row * rows; }
  [[nodiscard]] std::uint64_t bytes(const QuantFacts& quant) const {
    return norm ? elements() * 4 : elements() / quant.block * quant.block_bytes;
  }
};

std::uint64_t aligned(std::uint64_t offset) { return (offset + alignment - 1) / alignment * alignment; }

// Little endian whatever the host.
class Bytes {
 public:
  void u32(std::uint32_t value) {
    for (unsigned shift = 0; shift < 32; shift += 8) text_.push_back(static_cast<char>(value >> shift & 0xff));
  }
  void u64(std::uint64_t value) {
    u32(static_cast<std::uint32_t>(value));
    u32(static_cast<std::uint32_t>(value >> 32));
  }
  void f32(float value) { u32(std::bit_cast<std::uint32_t>(value)); }
  void string(std::string_view value) {
    u64(value.size());
    text_.append(value);
  }
  void raw(std::string_view value) { text_.append(value); }
  void key(std::string_view name, std::uint32_t type) {
    string(name);
    u32(type);
    ++keys_;
  }
  void array(std::string_view name, std::uint32_t type, std::uint64_t count) {
    key(name, type_array);
    u32(type);
    u64(count);
  }
  void key_u32(std::string_view name, std::uint32_t value) {
    key(name, type_u32);
    u32(value);
  }
  void key_string(std::string_view name, std::string_view value) {
    key(name, type_string);
    string(value);
  }
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] std::uint64_t keys() const { return keys_; }

 private:
  std::string text_;
  std::uint64_t keys_ = 0;
};

// Three control tokens, the 256 bytes (so that any text can be tokenised), then pieces of ASCII text.
std::vector<std::string> vocabulary(std::uint32_t size) {
  std::vector<std::string> tokens{"<unk>", "<s>", "</s>"};
  for (unsigned value = 0; value < byte_tokens; ++value) {
    std::array<char, 8> name{};
    std::snprintf(name.data(), name.size(), "<0x%02X>", value);
    tokens.emplace_back(name.data());
  }
  const std::string space = "\xe2\x96\x81";  // U+2581, SentencePiece's space
  const std::string_view letters = "etaoinshrdlucmfwypvbgkjqxz";
  const auto add = [&](std::string piece) {
    if (tokens.size() < size) tokens.push_back(std::move(piece));
  };
  add(space);
  for (char c = 33; c < 127; ++c) add(std::string(1, c));
  for (const char a : letters)
    for (const char b : letters) {
      add({a, b});
      add(space + a + b);
    }
  for (const char a : letters)
    for (const char b : letters)
      for (const char c : letters) {
        add({a, b, c});
        add(space + a + b + c);
      }
  return tokens;
}

std::vector<Tensor> tensors_of(const LlamaShape& shape, const QuantFacts& quant) {
  const std::uint64_t e = shape.embedding, f = shape.feed_forward, kv = e / shape.heads * shape.kv_heads;
  std::vector<Tensor> tensors;
  const auto matrix = [&](std::string name, std::uint64_t row, std::uint64_t rows) {
    tensors.push_back({std::move(name), row, rows, false, false, 0});
  };
  const auto norm = [&](std::string name) { tensors.push_back({std::move(name), e, 1, true, false, 0}); };
  matrix("token_embd.weight", e, shape.vocabulary);
  for (std::uint32_t layer = 0; layer < shape.layers; ++layer) {
    const std::string block = "blk." + std::to_string(layer) + ".";
    norm(block + "attn_norm.weight");
    matrix(block + "attn_q.weight", e, e);
    matrix(block + "attn_k.weight", e, kv);
    matrix(block + "attn_v.weight", e, kv);
    matrix(block + "attn_output.weight", e, e);
    norm(block + "ffn_norm.weight");
    matrix(block + "ffn_gate.weight", e, f);
    matrix(block + "ffn_up.weight", e, f);
    matrix(block + "ffn_down.weight", f, e);
  }
  norm("output_norm.weight");
  matrix("output.weight", e, shape.vocabulary);
  tensors.back().output = true;
  std::uint64_t offset = 0;
  for (Tensor& tensor : tensors) {
    tensor.offset = offset;
    offset = aligned(offset + tensor.bytes(quant));
  }
  return tensors;
}

std::string label_of(std::uint64_t parameters) {
  const auto in = [&](double unit, const char* suffix) {
    std::string digits = format_fixed(static_cast<double>(parameters) / unit, 1);
    if (digits.ends_with(".0")) digits.resize(digits.size() - 2);
    return digits + suffix;
  };
  if (parameters >= 1'000'000'000) return in(1e9, "B");
  if (parameters >= 1'000'000) return in(1e6, "M");
  return in(1e3, "k");
}

void write_tokenizer(Bytes& out, const LlamaShape& shape) {
  const std::vector<std::string> tokens = vocabulary(shape.vocabulary);
  out.key_string("tokenizer.ggml.model", "llama");
  out.array("tokenizer.ggml.tokens", type_string, tokens.size());
  for (const std::string& token : tokens) out.string(token);
  out.array("tokenizer.ggml.scores", type_f32, tokens.size());
  const std::size_t pieces = first_byte_token + byte_tokens;
  for (std::size_t i = 0; i < tokens.size(); ++i) out.f32(i < pieces ? 0.0F : -static_cast<float>(i));
  out.array("tokenizer.ggml.token_type", type_i32, tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i)  // 1 normal, 2 unknown, 3 control, 6 byte
    out.u32(i == 0 ? 2 : i < first_byte_token ? 3 : i < pieces ? 6 : 1);
  out.key_u32("tokenizer.ggml.bos_token_id", 1);
  out.key_u32("tokenizer.ggml.eos_token_id", 2);
  out.key_u32("tokenizer.ggml.unknown_token_id", 0);
  out.key("tokenizer.ggml.add_bos_token", type_bool);
  out.raw(std::string_view("\1", 1));
  out.key("tokenizer.ggml.add_eos_token", type_bool);
  out.raw(std::string_view("\0", 1));
}

// Everything before the tensors' data, padded.
std::string header_of(const SynthOptions& options, const LlamaShape& shape, const std::vector<Tensor>& tensors,
                      const std::string& name) {
  const QuantFacts quant = facts_of(options.quant);
  Bytes keys;
  keys.key_string("general.architecture", "llama");
  keys.key_string("general.name", name);
  keys.key_u32("general.alignment", alignment);
  keys.key_u32("general.file_type", quant.file_type);
  keys.key_u32("general.quantization_version", 2);
  keys.key_u32("llama.context_length", options.context_length);
  keys.key_u32("llama.embedding_length", shape.embedding);
  keys.key_u32("llama.block_count", shape.layers);
  keys.key_u32("llama.feed_forward_length", shape.feed_forward);
  keys.key_u32("llama.attention.head_count", shape.heads);
  keys.key_u32("llama.attention.head_count_kv", shape.kv_heads);
  keys.key("llama.attention.layer_norm_rms_epsilon", type_f32);
  keys.f32(1e-5F);
  keys.key_u32("llama.rope.dimension_count", shape.embedding / shape.heads);
  keys.key_u32("llama.vocab_size", shape.vocabulary);
  write_tokenizer(keys, shape);

  Bytes out;
  out.raw("GGUF");
  out.u32(3);
  out.u64(tensors.size());
  out.u64(keys.keys());
  out.raw(keys.text());
  for (const Tensor& tensor : tensors) {
    out.string(tensor.name);
    out.u32(tensor.norm ? 1 : 2);
    out.u64(tensor.row);
    if (!tensor.norm) out.u64(tensor.rows);
    out.u32(tensor.norm ? 0 : quant.tensor_type);
    out.u64(tensor.offset);
  }
  std::string text = out.text();
  text.resize(static_cast<std::size_t>(aligned(text.size())), '\0');
  return text;
}

// One weight is a random byte in −127 … 127 times `unit`; 74 is about the standard deviation of such bytes.
class Weights {
 public:
  Weights(SynthQuant quant, std::uint64_t row)
      : quant_(quant), scale_(half_from_float(static_cast<float>(1.0 / std::sqrt(static_cast<double>(row)) / 74.0))) {
    const double unit = 1.0 / std::sqrt(static_cast<double>(row)) / 74.0;
    for (int value = -128; value < 128; ++value) {
      const float weight = static_cast<float>((value == -128 ? 0 : value) * unit);
      floats_[static_cast<std::size_t>(value + 128)] = std::bit_cast<std::uint32_t>(weight);
      halves_[static_cast<std::size_t>(value + 128)] = half_from_float(weight);
    }
  }

  // Appends 32 weights; `random` null: zeros.
  void block(SynthRandom* random, std::string& out) const {
    std::array<unsigned char, 32> bytes{};
    for (std::size_t i = 0; random != nullptr && i < bytes.size(); i += 8) {
      const std::uint64_t word = random->next();
      for (std::size_t j = 0; j < 8; ++j) bytes[i + j] = static_cast<unsigned char>(word >> (8 * j) & 0xff);
    }
    if (quant_ == SynthQuant::q8_0) put16(scale_, out);
    for (const unsigned char byte : bytes) {
      const std::size_t index = byte ^ 0x80U;  // as a signed number, plus 128
      if (quant_ == SynthQuant::q8_0)
        out.push_back(static_cast<char>(byte == 0x80 ? 0 : byte));
      else if (quant_ == SynthQuant::f16)
        put16(halves_[index], out);
      else {
        put16(static_cast<std::uint16_t>(floats_[index] & 0xffff), out);
        put16(static_cast<std::uint16_t>(floats_[index] >> 16), out);
      }
    }
  }

 private:
  static void put16(std::uint16_t value, std::string& out) {
    out.push_back(static_cast<char>(value & 0xff));
    out.push_back(static_cast<char>(value >> 8));
  }
  SynthQuant quant_;
  std::uint16_t scale_;
  std::array<std::uint16_t, 256> halves_{};
  std::array<std::uint32_t, 256> floats_{};
};

Result<void> write_tensor(SynthOutput& out, const Tensor& tensor, const SynthOptions& options, std::uint64_t number) {
  if (tensor.norm) {
    Bytes ones;
    for (std::uint64_t i = 0; i < tensor.elements(); ++i) ones.f32(1.0F);
    return out.put(ones.text());
  }
  const Weights weights(options.quant, tensor.row);
  SynthRandom random(options.seed, number);
  std::string row;
  for (std::uint64_t r = 0; r < tensor.rows; ++r) {
    row.clear();
    for (std::uint64_t i = 0; i < tensor.row; i += 32)
      weights.block(tensor.output && r < first_byte_token ? nullptr : &random, row);
    if (auto done = out.put(row); !done) return done;
  }
  return {};
}

}  // namespace

std::uint16_t half_from_float(float value) noexcept {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) return static_cast<std::uint16_t>(sign | 0x7e00U);   // NaN
  if (magnitude >= 0x477ff000U) return static_cast<std::uint16_t>(sign | 0x7c00U);  // rounds past 65504: infinity
  const std::uint32_t exponent = magnitude >> 23;
  if (exponent < 102) return sign;  // below half of the least subnormal, 2^-24
  std::uint32_t mantissa = magnitude & 0x7fffffU, dropped = 13, base = 0;
  if (exponent >= 113) {
    base = (exponent - 112) << 10;
  } else {  // subnormal: the hidden bit becomes visible
    mantissa |= 0x800000U;
    dropped = 126 - exponent;
  }
  std::uint32_t half = base + (mantissa >> dropped);
  const std::uint32_t rest = mantissa & ((1U << dropped) - 1), middle = 1U << (dropped - 1);
  if (rest > middle || (rest == middle && (half & 1U) != 0)) ++half;
  return static_cast<std::uint16_t>(sign | half);
}

Result<SynthReport> write_synthetic_llama(const SynthOptions& options, const std::string& path) {
  if (options.context_length < 16)
    return fail(ErrorCode::usage, "a context of fewer than 16 tokens is of no use", "--ctx", "use 16 or more");
  SynthReport report;
  report.shape = llama_shape_for(options.parameters);
  report.parameters = report.shape.parameters();
  report.name = "synthetic-llama-" + label_of(options.parameters);
  const std::vector<Tensor> tensors = tensors_of(report.shape, facts_of(options.quant));
  report.tensors = static_cast<std::uint32_t>(tensors.size());

  auto out = SynthOutput::open(path, options.replace);
  if (!out) return Unexpected<Error>(out.error());
  const std::string header = header_of(options, report.shape, tensors, report.name);
  if (auto done = out->put(header); !done) return Unexpected<Error>(done.error());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    auto done = out->zeros_up_to(header.size() + tensors[i].offset);
    if (done) done = write_tensor(*out, tensors[i], options, i);
    if (!done) return Unexpected<Error>(done.error());
  }
  auto done = out->zeros_up_to(aligned(out->position()));
  if (done) done = out->finish();
  if (!done) return Unexpected<Error>(done.error());
  report.bytes = out->position();
  return report;
}

}  // namespace prony
