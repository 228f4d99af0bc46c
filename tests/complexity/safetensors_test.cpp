// Heads of safetensors files, good and hostile.
#include "complexity/safetensors.hpp"

#include <gtest/gtest.h>

#include "published_models.hpp"

namespace prony::complexity {
namespace {

std::string one_tensor(const std::string& dtype, const std::string& shape, const std::string& place) {
  return R"({"t":{"dtype":")" + dtype + R"(","shape":[)" + shape + R"(],"data_offsets":[)" + place + "]}}";
}

TEST(Safetensors, ATensorHasItsTypeShapeAndBytes) {
  const auto tensors = parse_safetensors_json(
      R"({"__metadata__":{"format":"pt","shape":"x"},"a":{"dtype":"BF16","shape":[3,5],"data_offsets":[0,30]},)"
      R"("scalar":{"data_offsets":[30,34],"shape":[],"dtype":"F32"}})",
      34);
  ASSERT_TRUE(tensors) << tensors.error().what;
  ASSERT_EQ(tensors->size(), 2U);
  EXPECT_EQ((*tensors)[0].shape, (std::array<std::uint64_t, 4>{5, 3, 1, 1}));  // the last changes fastest
  EXPECT_EQ((*tensors)[0].type_name, "BF16");
  EXPECT_EQ((*tensors)[0].bytes, 30U);
  EXPECT_EQ((*tensors)[1].elements, 1U);
}

TEST(Safetensors, WhatIsNotWhereItSaysIsRefused) {
  EXPECT_TRUE(parse_safetensors_json(one_tensor("F32", "2,2", "0,16"), 16));
  for (
      const std::string& json :
      {one_tensor("F32", "2,2", "0,20"),
       one_tensor("F32", "2,2", "4,20"),
       one_tensor("F32", "2,2", "16,0"),
       one_tensor("F32", "2,2", "0"),
       one_tensor("F32", "2,2", "0,16,16"),
       one_tensor("F32", "2,-2", "0,16"),
       one_tensor("F32", "4.0", "0,16"),
       one_tensor("F99", "2,2", "0,16"),
       one_tensor("F32", "2,3", "0,16"),
       one_tensor("F4", "3", "0,1"),
       one_tensor("F32", "4294967296,4294967296,4", "0,16"),
       one_tensor("F32", "[2],2", "0,16"),
       one_tensor("F32", "{},2", "0,16"),
       one_tensor("F32", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,4", "0,16"),
       std::string(R"({"t":{}})"),
       std::string(R"({"t":7})"),
       std::string(R"({"t":[]})"),
       std::string("{"),
       std::string("[]"),
       std::string(),
       std::string(R"({"a":{"a":{"a":{}}}})"),
       std::string(R"({"__metadata__":{"a":[1]}})"),
       std::string(
           R"({"a":{"dtype":"I8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"I8","shape":[8],"data_offsets":[4,12]}})"),
       std::string(
           R"({"a":{"dtype":"I8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"I8","shape":[4],"data_offsets":[4,8]}})")})
    EXPECT_FALSE(parse_safetensors_json(json, 16)) << json;
}

TEST(Safetensors, DeepNestingAndLongNamesCostNothing) {
  std::string deep;
  for (int i = 0; i < 200'000; ++i) deep += R"({"a":)";
  EXPECT_FALSE(parse_safetensors_json(deep, 16));
  EXPECT_FALSE(parse_safetensors_json("{\"t\":{\"shape\":" + std::string(1'000'000, '['), 16));
  EXPECT_FALSE(parse_safetensors_json("{\"" + std::string(100'000, 'n') + "\":{}}", 16));
}

// Kills: a length that is believed.
TEST(Safetensors, AHeadThatIsCutOffAnywhereIsDamagedAndSaysSo) {
  const SafetensorsHead head = safetensors_head({{"a", {2, 2}}});
  const std::string bytes = head.bytes();
  const auto as_bytes_of = [](const std::string& text) { return std::as_bytes(std::span(text)); };
  EXPECT_TRUE(parse_safetensors(as_bytes_of(bytes), bytes.size() + 8));
  for (std::size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(parse_safetensors(as_bytes_of(bytes).first(length), length)) << length;
  std::string huge = bytes;
  huge.replace(0, 8, std::string(7, '\xff') + '\x7f');
  EXPECT_FALSE(parse_safetensors(as_bytes_of(huge), huge.size()));
}

TEST(Safetensors, AnIndexNamesFilesOfItsOwnFolderOnly) {
  const auto index = [](const std::string& file) {
    return parse_safetensors_index(R"({"metadata":{"total_size":12,"x":[1]},"weight_map":{"a":")" + file + "\"}}");
  };
  const auto good = index("model-00001-of-00002.safetensors");
  ASSERT_TRUE(good) << good.error().what;
  EXPECT_EQ(good->at("a"), "model-00001-of-00002.safetensors");
  for (const char* file : {"../x", "/etc/passwd", "..", "", "a/b", ".hidden", "a\\u0000b"})
    EXPECT_FALSE(index(file)) << file;
  for (const char* json : {"", "[]", "{}", R"({"weight_map":{"a":1}})", R"({"weight_map":{"a":{"b":"c"}}})",
                           R"({"weight_map":{}})", R"({"weight_map":[]})"})
    EXPECT_FALSE(parse_safetensors_index(json)) << json;
}

}  // namespace
}  // namespace prony::complexity
