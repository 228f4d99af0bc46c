// Choosing dimensions for a count of parameters, in integers only, so that every machine chooses alike.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>

#include "base/text.hpp"
#include "synth/gguf_llama.hpp"

namespace prony {

namespace {

constexpr std::uint64_t fewest = 20'000, most = 200'000'000'000;

std::uint32_t vocabulary_for(std::uint64_t parameters) {
  if (parameters < 1'000'000) return 512;
  if (parameters < 6'000'000) return 4096;
  if (parameters < 2'000'000'000) return 16000;
  return 32000;
}

std::uint32_t kv_heads_for(std::uint32_t heads) {
  if (heads < 8) return heads;
  for (std::uint32_t group = 4; group > 1; --group)
    if (heads % group == 0) return heads / group;
  return heads;
}

// The width that makes `layers` × `embedding` come nearest to what is asked for, in whole blocks of 32.
std::uint32_t feed_forward_for(const LlamaShape& shape, std::uint64_t parameters) {
  LlamaShape bare = shape;
  bare.feed_forward = 0;
  const std::uint64_t rest = parameters > bare.parameters() ? parameters - bare.parameters() : 0;
  const std::uint64_t per_column = std::uint64_t{3} * shape.embedding * shape.layers;
  const std::uint64_t wanted = (rest / per_column + 16) / 32 * 32;
  const std::uint64_t narrow = std::uint64_t{2} * shape.embedding, wide = std::uint64_t{4} * shape.embedding;
  return static_cast<std::uint32_t>(std::clamp(wanted, narrow, wide));
}

std::uint64_t distance(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : b - a; }

// Lower is better: parts per million off in count, and gently how far the shape is from that of usual models.
std::uint64_t badness(const LlamaShape& shape, std::uint64_t parameters) {
  const std::uint64_t got = shape.parameters();
  const std::uint64_t off = static_cast<std::uint64_t>(static_cast<unsigned long long>(distance(got, parameters)) *
                                                       1000ULL / std::max<std::uint64_t>(parameters / 1000, 1));
  const std::uint64_t usual_width = shape.embedding * std::uint64_t{8} / 3;
  const std::uint64_t wide_off = distance(shape.feed_forward, usual_width) * 1000 / usual_width;
  const std::uint64_t usual_depth = std::max<std::uint64_t>(shape.embedding / (shape.embedding < 2048 ? 56 : 110), 2);
  const std::uint64_t deep_off = distance(shape.layers, usual_depth) * 1000 / usual_depth;
  return off + 5 * wide_off + 15 * deep_off;
}

}  // namespace

std::uint64_t LlamaShape::parameters() const noexcept {
  const std::uint64_t e = embedding, head = heads == 0 ? 0 : e / heads;
  const std::uint64_t attention = 2 * e * e + 2 * e * head * kv_heads;
  const std::uint64_t layer = attention + std::uint64_t{3} * e * feed_forward + 2 * e;
  return 2 * e * vocabulary + layers * layer + e;
}

LlamaShape llama_shape_for(std::uint64_t parameters) noexcept {
  LlamaShape best;
  std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
  const std::uint32_t vocabulary = vocabulary_for(parameters);
  for (std::uint32_t embedding = 32; embedding <= 16384; embedding += embedding < 1024 ? 32 : 128) {
    const std::uint32_t head_size = embedding % 128 == 0 && embedding >= 2048 ? 128
                                    : embedding % 64 == 0 && embedding >= 512 ? 64
                                                                              : 32;
    const std::uint32_t usual = std::max(embedding / (embedding < 2048 ? 56U : 110U), 1U);
    for (std::uint32_t layers = std::max(usual / 2, 1U); layers <= usual * 2 + 1; ++layers) {
      LlamaShape shape{embedding, layers, embedding / head_size, kv_heads_for(embedding / head_size), 0, vocabulary};
      shape.feed_forward = feed_forward_for(shape, parameters);
      const std::uint64_t bad = badness(shape, parameters);
      if (bad < least) {
        least = bad;
        best = shape;
      }
    }
  }
  return best;
}

Result<std::uint64_t> parse_parameter_count(std::string_view text) {
  const std::string_view whole = trim(text);
  const std::string fix = "write a count such as 160k, 15M, 1.1B";
  if (whole.empty()) return fail(ErrorCode::usage, "a count of parameters is empty", "--params", fix);
  double factor = 1;
  std::string_view number = whole;
  switch (std::toupper(static_cast<unsigned char>(whole.back()))) {
    case 'K': factor = 1e3; break;
    case 'M': factor = 1e6; break;
    case 'G':
    case 'B': factor = 1e9; break;
    default: break;
  }
  if (factor > 1) number.remove_suffix(1);
  const auto value = parse_finite(number);
  if (!value)
    return fail(ErrorCode::usage, "\"" + std::string(whole) + "\" is not a count of parameters", "--params", fix);
  const double count = std::round(*value * factor);
  if (count < static_cast<double>(fewest) || count > static_cast<double>(most))
    return fail(ErrorCode::usage, "\"" + std::string(whole) + "\" parameters is outside 20k to 200B", "--params", fix);
  return static_cast<std::uint64_t>(count);
}

Result<SynthQuant> synth_quant_from(std::string_view text) {
  std::string lower;
  for (const char c : trim(text)) lower.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
  if (lower == "f32") return SynthQuant::f32;
  if (lower == "f16") return SynthQuant::f16;
  if (lower == "q8_0") return SynthQuant::q8_0;
  if (lower == "q4_0") return SynthQuant::q4_0;
  return fail(ErrorCode::usage, "no such quantisation: \"" + std::string(text) + "\"", "--quant",
              "use f32, f16, q8_0 or q4_0");
}

std::string_view to_string(SynthQuant quant) noexcept {
  switch (quant) {
    case SynthQuant::f32: return "F32";
    case SynthQuant::f16: return "F16";
    case SynthQuant::q8_0: return "Q8_0";
    case SynthQuant::q4_0: return "Q4_0";
  }
  return "?";
}

}  // namespace prony
