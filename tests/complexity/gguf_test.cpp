// Heads of GGUF files: what is read of them, and what of hostile ones.
#include "complexity/gguf.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "gguf_writer.hpp"
#include "synth/gguf_llama.hpp"

namespace prony::complexity {
namespace {

TEST(Gguf, EveryVersionAndByteOrderTellsTheSame) {
  for (const std::uint32_t version : {1U, 2U, 3U})
    for (const bool big : {false, true}) {
      const std::string bytes = llama({}, version, big).bytes();
      const auto header = parse_gguf(as_head(bytes));
      ASSERT_TRUE(header) << version << big << header.error().what;
      EXPECT_EQ(header->version, version);
      EXPECT_EQ(header->big_endian, big);
      EXPECT_EQ(header->text("general.architecture"), "llama");
      EXPECT_EQ(header->number("llama.block_count"), 32U);
      EXPECT_NEAR(header->real("llama.rope.freq_base").value_or(0), 500000, 1);
      EXPECT_EQ(header->tensors.size(), 1U + 32 * 9 + 2);
      EXPECT_EQ(header->tensors[0].name, "token_embd.weight");
      EXPECT_EQ(header->tensors[0].elements, 4096ULL * 128256);
      EXPECT_EQ(header->tensors[0].bytes, 4096ULL * 128256 * 2);
      EXPECT_EQ(header->head_bytes, bytes.size());
      EXPECT_FALSE(header->number("tokenizer.ggml.tokens"));  // passed over
    }
}

TEST(Gguf, AListOfNumbersOrOneNumberIsReadAlike) {
  const std::string bytes = GgufWriter().list("many", {3, 1, 2}).word("one", 7).list("truth", {1, 0}, true).bytes();
  const auto header = parse_gguf(as_head(bytes));
  ASSERT_TRUE(header) << header.error().what;
  EXPECT_EQ(header->numbers("many"), (std::vector<double>{3, 1, 2}));
  EXPECT_EQ(header->numbers("one"), (std::vector<double>{7}));
  EXPECT_EQ(header->numbers("truth"), (std::vector<double>{1, 0}));
  EXPECT_FALSE(header->numbers("absent"));
}

// Kills: a type that is not in the table being taken for another; its bytes are not known.
TEST(Gguf, AnUnknownTensorTypeIsToldAndItsBytesAreNot) {
  const std::string bytes = GgufWriter().tensor("x.weight", {64, 2}, 99).tensor("y.weight", {64, 2}, 2).bytes();
  const auto header = parse_gguf(as_head(bytes));
  ASSERT_TRUE(header);
  EXPECT_FALSE(header->tensors[0].bytes);
  EXPECT_EQ(header->tensors[1].bytes, 128U / 32 * 18);
}

// Kills: any length that is believed. Every cut of a good head is an error and never a crash.
TEST(Gguf, AFileThatEndsAnywhereIsDamagedAndSaysSo) {
  const std::string bytes = llama({.layers = 2}).bytes();
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const auto header = parse_gguf(as_head(bytes).first(length));
    ASSERT_FALSE(header) << length;
    EXPECT_EQ(header.error().code, ErrorCode::malformed);
  }
}

TEST(Gguf, WhatClaimsMoreThanTheFileHasIsRefusedAtOnce) {
  const auto refused = [](std::string bytes, std::size_t at, std::string_view with) {
    bytes.replace(at, with.size(), with);
    const auto header = parse_gguf(as_head(bytes));
    return !header && header.error().code == ErrorCode::malformed;
  };
  const std::string bytes = GgufWriter().text("k", "v").list("l", {1, 2}).tensor("t", {2, 2}, 0).bytes();
  using namespace std::string_view_literals;
  EXPECT_TRUE(refused(bytes, 8, "\xff\xff\xff\xff\xff\xff\xff\xff"sv));   // tensors
  EXPECT_TRUE(refused(bytes, 16, "\xff\xff\xff\xff\xff\xff\xff\x7f"sv));  // values
  EXPECT_TRUE(refused(bytes, 24, "\xff\xff\xff\xff\xff\xff\xff\x7f"sv));  // a key's length
  EXPECT_TRUE(refused(bytes, 33, "\x63"sv));                              // a value's type
  EXPECT_TRUE(refused(bytes, 37, "\xff\xff\xff\xff\xff\xff\xff\x7f"sv));  // a text's length
}

TEST(Gguf, ElementsThatNoNumberHoldsAreRefused) {
  const std::uint64_t huge = std::uint64_t{1} << 40;
  const std::string bytes = GgufWriter().tensor("t", {huge, huge}, 0).bytes();
  ASSERT_FALSE(parse_gguf(as_head(bytes)));
}

TEST(Gguf, OtherFilesAndVersionsAreToldApart) {
  EXPECT_EQ(parse_gguf(as_head("PK\3\4 something else")).error().code, ErrorCode::malformed);
  EXPECT_EQ(parse_gguf(as_head(GgufWriter(4).bytes())).error().code, ErrorCode::unavailable);
  EXPECT_EQ(parse_gguf({}).error().code, ErrorCode::malformed);
}

// A real file of which only the head is read: what Prony's own synthetic models hold.
TEST(Gguf, TheHeadOfASyntheticModelTellsItsShape) {
  const std::string folder = testing::TempDir();
  const std::string path = folder + "prony-gguf-test.gguf";
  struct Removed {
    std::string path;
    ~Removed() { std::filesystem::remove(path); }
  } removed{path};
  SynthOptions options;
  options.parameters = 300'000;
  options.replace = true;
  const auto report = write_synthetic_llama(options, path);
  ASSERT_TRUE(report) << report.error().what;
  const auto header = read_gguf(path);
  ASSERT_TRUE(header) << header.error().what;
  std::uint64_t elements = 0;
  for (const GgufTensor& tensor : header->tensors) elements += tensor.elements;
  EXPECT_EQ(elements, report->parameters);
  EXPECT_EQ(header->file_bytes, report->bytes);
  EXPECT_LT(header->head_bytes, header->file_bytes);
  EXPECT_EQ(read_gguf(path + ".none").error().code, ErrorCode::absent);
  EXPECT_EQ(read_gguf(folder).error().code, ErrorCode::malformed);
}

// Kills: a head longer than the first read being refused.
TEST(Gguf, AHeadOfSeveralMebibytesIsReadInPieces) {
  const std::string path = testing::TempDir() + "prony-gguf-long.gguf";
  struct Removed {
    std::string path;
    ~Removed() { std::filesystem::remove(path); }
  } removed{path};
  GgufWriter writer = llama({.layers = 2});
  writer.texts("tokenizer.ggml.merges", 400'000, "two pieces");
  std::ofstream(path, std::ios::binary) << writer.bytes() << std::string(64, '\0');
  const auto header = read_gguf(path);
  ASSERT_TRUE(header) << header.error().what;
  EXPECT_GT(header->head_bytes, 4U << 20);
  EXPECT_EQ(header->tensors.size(), 1U + 2 * 9 + 2);
}

}  // namespace
}  // namespace prony::complexity
