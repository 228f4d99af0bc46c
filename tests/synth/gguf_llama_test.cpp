#include "synth/gguf_llama.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "../support/scratch.hpp"

namespace prony {
namespace {

// A reader of its own, from the format's description, so that a shared mistake cannot hide.
struct Reader {
  std::string bytes;
  std::size_t at = 0;
  template <class T>
  T take() {
    T value{};
    if (at + sizeof(T) > bytes.size()) throw std::runtime_error("past the end");
    std::memcpy(&value, bytes.data() + at, sizeof(T));
    at += sizeof(T);
    return value;
  }
  std::string text() {
    const auto size = take<std::uint64_t>();
    if (at + size > bytes.size()) throw std::runtime_error("string past the end");
    at += size;
    return bytes.substr(at - size, size);
  }
};

struct ParsedTensor {
  std::vector<std::uint64_t> dimensions;
  std::uint32_t type = 0;
  std::uint64_t offset = 0;
  std::uint64_t elements() const {
    std::uint64_t n = 1;
    for (const auto d : dimensions) n *= d;
    return n;
  }
};

struct Parsed {
  std::map<std::string, double> numbers;
  std::map<std::string, std::string> texts;
  std::vector<std::string> tokens;
  std::vector<std::int32_t> types;
  std::size_t scores = 0;
  std::map<std::string, ParsedTensor> tensors;
  std::size_t data = 0;
  std::string bytes;
};

Parsed parse(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream all;
  all << file.rdbuf();
  Reader in{all.str()};
  Parsed out;
  if (in.take<std::uint32_t>() != 0x46554747U) throw std::runtime_error("no magic");
  if (in.take<std::uint32_t>() != 3) throw std::runtime_error("not version 3");
  const auto tensors = in.take<std::uint64_t>(), keys = in.take<std::uint64_t>();
  for (std::uint64_t i = 0; i < keys; ++i) {
    const std::string key = in.text();
    switch (in.take<std::uint32_t>()) {
      case 4: out.numbers[key] = in.take<std::uint32_t>(); break;
      case 6: out.numbers[key] = static_cast<double>(in.take<float>()); break;
      case 7: out.numbers[key] = in.take<std::uint8_t>(); break;
      case 8: out.texts[key] = in.text(); break;
      case 9: {
        const auto type = in.take<std::uint32_t>();
        const auto count = in.take<std::uint64_t>();
        for (std::uint64_t j = 0; j < count; ++j) {
          if (type == 8)
            out.tokens.push_back(in.text());
          else if (type == 5)
            out.types.push_back(in.take<std::int32_t>());
          else if (type == 6) {
            (void)in.take<float>();
            ++out.scores;
          } else
            throw std::runtime_error("unknown array");
        }
        break;
      }
      default: throw std::runtime_error("unknown type of key " + key);
    }
  }
  for (std::uint64_t i = 0; i < tensors; ++i) {
    const std::string name = in.text();
    ParsedTensor tensor;
    tensor.dimensions.resize(in.take<std::uint32_t>());
    for (auto& d : tensor.dimensions) d = in.take<std::uint64_t>();
    tensor.type = in.take<std::uint32_t>();
    tensor.offset = in.take<std::uint64_t>();
    out.tensors[name] = tensor;
  }
  out.data = (in.at + 31) / 32 * 32;
  out.bytes = std::move(in.bytes);
  return out;
}

struct Folder {
  ScratchFolder scratch{"synth"};
  const std::string& path = scratch.path();
  std::string file(const std::string& name) const { return path + "/" + name; }
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path), {}));
  }
};

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream all;
  all << file.rdbuf();
  return all.str();
}

double value_of_half(std::uint16_t half) {  // straight from IEEE 754, with powers
  const int exponent = half >> 10 & 31, mantissa = half & 1023;
  const double magnitude = exponent == 0    ? std::ldexp(mantissa, -24)
                           : exponent == 31 ? (mantissa == 0 ? INFINITY : NAN)
                                            : std::ldexp(1024 + mantissa, exponent - 25);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(HalfFloat, EveryHalfValueComesBackAsItself) {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    const double value = value_of_half(static_cast<std::uint16_t>(bits));
    if (std::isnan(value)) continue;
    ASSERT_EQ(half_from_float(static_cast<float>(value)), bits);
  }
}

// Kills: truncation instead of rounding, and rounding ties away from zero.
TEST(HalfFloat, BetweenTwoNeighboursTheNearestWinsAndATieGoesToTheEvenOne) {
  for (unsigned bits = 0; bits < 0x7bff; ++bits) {
    const double low = value_of_half(static_cast<std::uint16_t>(bits)),
                 high = value_of_half(static_cast<std::uint16_t>(bits + 1));
    const auto middle = static_cast<float>((low + high) / 2);
    ASSERT_EQ(half_from_float(middle), bits % 2 == 0 ? bits : bits + 1) << bits;
    ASSERT_EQ(half_from_float(std::nextafterf(middle, 0.0F)), bits) << bits;
    ASSERT_EQ(half_from_float(std::nextafterf(middle, 1e9F)), bits + 1) << bits;
  }
  EXPECT_EQ(half_from_float(65519.0F), 0x7bff);
  EXPECT_EQ(half_from_float(65520.0F), 0x7c00);
}

TEST(Shape, TheCountIsNearTheOneAskedForAtEverySize) {
  for (const std::uint64_t asked :
       {160'000ULL, 500'000ULL, 1'000'000ULL, 3'000'000ULL, 15'000'000ULL, 42'000'000ULL, 100'000'000ULL,
        350'000'000ULL, 1'100'000'000ULL, 7'000'000'000ULL, 70'000'000'000ULL}) {
    const LlamaShape shape = llama_shape_for(asked);
    const double off = std::abs(static_cast<double>(shape.parameters()) / static_cast<double>(asked) - 1);
    EXPECT_LT(off, 0.02) << asked << " gave " << shape.parameters();
    EXPECT_EQ(shape.embedding % 32, 0U);
    EXPECT_EQ(shape.feed_forward % 32, 0U);
    EXPECT_EQ(shape.embedding % shape.heads, 0U);
    EXPECT_EQ(shape.heads % shape.kv_heads, 0U);
    EXPECT_EQ(shape.embedding / shape.heads % 2, 0U) << "rotary embedding needs pairs";
    EXPECT_GE(shape.layers, 1U);
  }
}

TEST(ParameterCount, SuffixesAreThousandsMillionsAndBillions) {
  EXPECT_EQ(parse_parameter_count("160k").value(), 160'000U);
  EXPECT_EQ(parse_parameter_count("15M").value(), 15'000'000U);
  EXPECT_EQ(parse_parameter_count("15m").value(), 15'000'000U);
  EXPECT_EQ(parse_parameter_count("1.1B").value(), 1'100'000'000U);
  EXPECT_EQ(parse_parameter_count(" 123456 ").value(), 123'456U);
  for (const char* wrong : {"", "M", "15X", "-15M", "1e99", "3", "15MB", "999B", "nan"})
    EXPECT_FALSE(parse_parameter_count(wrong)) << wrong;
}

class EveryQuant : public ::testing::TestWithParam<SynthQuant> {};

TEST_P(EveryQuant, WhatTheHeaderSaysIsWhatTheFileHolds) {
  const Folder folder;
  SynthOptions options;
  options.parameters = 160'000;
  options.quant = GetParam();
  const auto report = write_synthetic_llama(options, folder.file("m.gguf"));
  ASSERT_TRUE(report) << report.error().what;
  const Parsed file = parse(folder.file("m.gguf"));
  EXPECT_EQ(file.texts.at("general.architecture"), "llama");
  EXPECT_EQ(file.texts.at("general.name"), "synthetic-llama-160k");
  EXPECT_EQ(file.tensors.size(), report->tensors);
  EXPECT_EQ(file.bytes.size(), report->bytes);

  // Of ggml: the type's number, weights of a block and its bytes.
  const std::map<SynthQuant, std::array<std::uint32_t, 3>> numbers{{SynthQuant::f32, {0, 1, 4}},
                                                                   {SynthQuant::f16, {1, 1, 2}},
                                                                   {SynthQuant::q8_0, {8, 32, 34}},
                                                                   {SynthQuant::q4_0, {2, 32, 18}}};
  const auto [type, block, block_bytes] = numbers.at(GetParam());
  std::map<std::uint64_t, std::uint64_t> ranges;  // begin → end, by file offset
  std::uint64_t parameters = 0;
  for (const auto& [name, tensor] : file.tensors) {
    const bool norm = name.find("norm") != std::string::npos;
    EXPECT_EQ(tensor.type, norm ? 0 : type) << name;
    EXPECT_EQ(tensor.offset % 32, 0U) << name;
    const std::uint64_t n = tensor.elements();
    parameters += n;
    const std::uint64_t size = norm ? n * 4 : n / block * block_bytes;
    ranges[file.data + tensor.offset] = file.data + tensor.offset + size;
  }
  EXPECT_EQ(parameters, report->parameters);
  std::uint64_t end = file.data;
  for (const auto& [first, last] : ranges) {  // no overlap, no hole but padding
    EXPECT_GE(first, end);
    EXPECT_LT(first - end, 32U);
    end = last;
  }
  EXPECT_LE(end, file.bytes.size());
  EXPECT_LT(file.bytes.size() - end, 32U);
}
INSTANTIATE_TEST_SUITE_P(All, EveryQuant,
                         ::testing::Values(SynthQuant::f32, SynthQuant::f16, SynthQuant::q8_0, SynthQuant::q4_0));

TEST(SyntheticLlama, TheTokenizerKnowsEveryByteAndRepeatsNoToken) {
  const Folder folder;
  SynthOptions options;
  options.parameters = 15'000'000;
  ASSERT_TRUE(write_synthetic_llama(options, folder.file("m.gguf")));
  const Parsed file = parse(folder.file("m.gguf"));
  const auto vocabulary = static_cast<std::size_t>(file.numbers.at("llama.vocab_size"));
  ASSERT_EQ(file.tokens.size(), vocabulary);
  EXPECT_EQ(file.scores, vocabulary);
  ASSERT_EQ(file.types.size(), vocabulary);
  EXPECT_EQ(std::set<std::string>(file.tokens.begin(), file.tokens.end()).size(), vocabulary);
  EXPECT_EQ(file.tokens.at(3), "<0x00>");
  EXPECT_EQ(file.tokens.at(3 + 0xAB), "<0xAB>");
  EXPECT_EQ(std::count(file.types.begin(), file.types.end(), 6), 256);
  EXPECT_EQ(std::count(file.types.begin(), file.types.end(), 3), 2);
  EXPECT_EQ(file.tensors.at("token_embd.weight").dimensions.at(1), vocabulary);
}

// Kills: one weight repeated, a stream shared by two tensors, a scale off by a factor, an unsigned reading of the
// bytes.
TEST(SyntheticLlama, WeightsAreSpreadAsOneOverTheSquareRootOfTheRow) {
  const Folder folder;
  SynthOptions options;
  options.parameters = 160'000;
  options.quant = SynthQuant::f32;
  ASSERT_TRUE(write_synthetic_llama(options, folder.file("m.gguf")));
  const Parsed file = parse(folder.file("m.gguf"));
  const auto weights = [&](const std::string& name) {
    const ParsedTensor& tensor = file.tensors.at(name);
    std::vector<float> values(tensor.elements());
    std::memcpy(values.data(), file.bytes.data() + file.data + tensor.offset, values.size() * 4);
    return values;
  };
  const auto up = weights("blk.0.ffn_up.weight"), gate = weights("blk.0.ffn_gate.weight");
  double sum = 0, squares = 0, product = 0;
  for (std::size_t i = 0; i < up.size(); ++i) {
    sum += static_cast<double>(up[i]);
    squares += static_cast<double>(up[i]) * static_cast<double>(up[i]);
    product += static_cast<double>(up[i]) * static_cast<double>(gate[i]);
  }
  const auto n = static_cast<double>(up.size());
  const double wanted = 1.0 / static_cast<double>(file.tensors.at("blk.0.ffn_up.weight").dimensions[0]);
  EXPECT_NEAR(squares / n, wanted, wanted * 0.05);
  EXPECT_LT(std::abs(sum / n), 4 * std::sqrt(wanted / n));
  EXPECT_LT(std::abs(product / n), 5 * wanted / std::sqrt(n));
  for (const float one : weights("output_norm.weight")) EXPECT_EQ(one, 1.0F);
  const auto output = weights("output.weight");
  const std::size_t row = file.tensors.at("output.weight").dimensions[0];
  for (std::size_t i = 0; i < 3 * row; ++i) ASSERT_EQ(output[i], 0.0F) << "a control token could win";
  EXPECT_NE(output[3 * row], output[3 * row + 1]);
}

// Kills: halves of a block swapped, a zero point that is not eight, a scale of another type.
TEST(SyntheticLlama, FourBitsHoldTheSameWeightsToHalfAStep) {
  const Folder folder;
  SynthOptions options;
  options.parameters = 160'000;
  options.quant = SynthQuant::f32;
  ASSERT_TRUE(write_synthetic_llama(options, folder.file("fine")));
  options.quant = SynthQuant::q4_0;
  ASSERT_TRUE(write_synthetic_llama(options, folder.file("coarse")));
  const Parsed fine = parse(folder.file("fine")), coarse = parse(folder.file("coarse"));
  const ParsedTensor& tensor = fine.tensors.at("output.weight");
  const double step = 16.0 / 74.0 / std::sqrt(static_cast<double>(tensor.dimensions[0]));
  std::size_t equal_halves = 0;
  for (std::size_t block = 0; block < tensor.elements() / 32; ++block) {
    const char* packed = coarse.bytes.data() + coarse.data + coarse.tensors.at("output.weight").offset + block * 18 + 2;
    for (std::size_t i = 0; i < 32; ++i) {
      float weight = 0;
      std::memcpy(&weight, fine.bytes.data() + fine.data + tensor.offset + (block * 32 + i) * 4, 4);
      const auto byte = static_cast<unsigned char>(packed[i % 16]);
      const double kept = step * (static_cast<int>(i < 16 ? byte & 15U : byte >> 4U) - 8);
      // The largest positive one has no step of its own in four bits.
      ASSERT_NEAR(kept, static_cast<double>(weight), step * (weight > 0 ? 1.0 : 0.51)) << block << ' ' << i;
      equal_halves += i < 16 && (byte & 15U) == (byte >> 4U) ? 1 : 0;
    }
  }
  EXPECT_LT(equal_halves, tensor.elements() / 8);
}

TEST(SyntheticLlama, OneSeedGivesOneFileAndAnotherSeedAnother) {
  const Folder folder;
  SynthOptions options;
  options.parameters = 160'000;
  options.seed = 7;
  ASSERT_TRUE(write_synthetic_llama(options, folder.file("a")));
  ASSERT_TRUE(write_synthetic_llama(options, folder.file("b")));
  options.seed = 8;
  ASSERT_TRUE(write_synthetic_llama(options, folder.file("c")));
  EXPECT_EQ(content(folder.file("a")), content(folder.file("b")));
  EXPECT_NE(content(folder.file("a")), content(folder.file("c")));
}

// The bytes themselves: a change of them is a change of every figure measured on these models, so it must be meant.
TEST(SyntheticLlama, TheBytesOfSeedOneAreTheSameOnEveryMachine) {
  const Folder folder;
  for (const auto& [quant, wanted] : {std::pair{SynthQuant::q8_0, std::uint64_t{805297802110054874U}},
                                      {SynthQuant::f16, std::uint64_t{5093676809389337951U}},
                                      {SynthQuant::f32, std::uint64_t{7463253947525400671U}}}) {
    SynthOptions options;
    options.parameters = 160'000;
    options.quant = quant;
    options.replace = true;
    ASSERT_TRUE(write_synthetic_llama(options, folder.file("m")));
    std::uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a
    for (const char byte : content(folder.file("m"))) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3U;
    EXPECT_EQ(hash, wanted) << to_string(quant);
  }
}

TEST(SyntheticLlama, AnExistingFileIsKeptUnlessSaidOtherwise) {
  const Folder folder;
  std::ofstream(folder.file("m")) << "precious";
  SynthOptions options;
  options.parameters = 160'000;
  const auto refused = write_synthetic_llama(options, folder.file("m"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::usage);
  EXPECT_EQ(content(folder.file("m")), "precious");
  options.replace = true;
  EXPECT_TRUE(write_synthetic_llama(options, folder.file("m")));
}

// A limit on file size fails write() in its middle as a full disk does; the unfinished file must not stay.
TEST(SyntheticLlama, AFailedWriteLeavesNothingBehindAndSaysSo) {
  const Folder folder;
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  rlimit small = old;
  small.rlim_cur = 3'000'000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto result = write_synthetic_llama(SynthOptions{}, folder.file("m.gguf"));
  ::setrlimit(RLIMIT_FSIZE, &old);
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().what.find("cannot write"), std::string::npos);
  EXPECT_EQ(folder.entries(), 0U);
}

TEST(SyntheticLlama, AFullDiskIsNamedAsSuch) {
  // /dev/full cannot be renamed onto; a small tmpfs needs rights that a test may not have.
  const Folder folder;
  const std::string mount = "mount -t tmpfs -o size=1m none " + folder.path + " 2>/dev/null";
  if (std::system(mount.c_str()) != 0) GTEST_SKIP() << "may not mount a small tmpfs here";
  const auto result = write_synthetic_llama(SynthOptions{}, folder.file("m.gguf"));
  const std::size_t left = folder.entries();
  ASSERT_EQ(std::system(("umount " + folder.path).c_str()), 0);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::full);
  EXPECT_FALSE(result.error().fix.empty());
  EXPECT_EQ(left, 0U);
}

TEST(SyntheticLlama, APipeOrADeviceIsNeverReplaced) {
  const Folder folder;
  const std::string path = folder.file("pipe");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  SynthOptions options;
  options.replace = true;
  EXPECT_FALSE(write_synthetic_llama(options, path));
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_TRUE(S_ISFIFO(status.st_mode));
}

TEST(SyntheticLlama, AFolderThatIsNotThereIsNamed) {
  const auto result = write_synthetic_llama(SynthOptions{}, "/nonexistent-folder/m.gguf");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::absent);
  EXPECT_EQ(result.error().where, "/nonexistent-folder/m.gguf");
}

}  // namespace
}  // namespace prony
