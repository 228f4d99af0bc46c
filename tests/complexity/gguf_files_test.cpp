// Models in several GGUF files, and files whose tensors are not where they say.
#include "complexity/gguf_files.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "complexity/model_files.hpp"
#include "gguf_writer.hpp"

namespace prony::complexity {
namespace {

class GgufFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        testing::TempDir() + "prony-gguf-files-" + testing::UnitTest::GetInstance()->current_test_info()->name() + "/";
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // The head, then as many bytes of data as asked for.
  std::string write(const std::string& name, const GgufWriter& writer, std::size_t data) {
    std::string bytes = writer.bytes();
    bytes.resize((bytes.size() + 31) / 32 * 32 + data);
    std::ofstream(folder_ + name, std::ios::binary) << bytes;
    return folder_ + name;
  }
  // File `number` of three of a model with one layer; each holds one tensor of 32 numbers.
  std::string shard(std::uint32_t number, std::uint32_t says, std::uint32_t tensors = 3) {
    GgufWriter out;
    if (number == 0) out.text("general.architecture", "llama").word("llama.block_count", 1);
    out.word("split.no", says).word("split.count", 3).word("split.tensors.count", tensors);
    out.tensor("blk.0.ffn_" + std::to_string(says) + ".weight", {8, 4}, 0);
    return write("m-0000" + std::to_string(number + 1) + "-of-00003.gguf", out, 128);
  }

  std::string folder_;
};

TEST_F(GgufFilesTest, AnyFileOfAModelNamesAllAndTheirTensorsAreAdded) {
  std::vector<std::string> paths;
  for (std::uint32_t i = 0; i < 3; ++i) paths.push_back(shard(i, i));
  for (const std::string& path : paths) {
    const auto model = read_model(path);
    ASSERT_TRUE(model) << model.error().what;
    EXPECT_EQ(model->paths, paths);
    EXPECT_EQ(model->shape.parameters, 3 * 32U);
    EXPECT_EQ(model->shape.weights_bytes, 3 * 128U);
    EXPECT_EQ(model->shape.architecture, "llama");  // as the first says, whichever was named
    std::uint64_t bytes = 0;
    for (const std::string& one : paths) bytes += std::filesystem::file_size(one);
    EXPECT_EQ(model->bytes, bytes);
  }
}

TEST_F(GgufFilesTest, AMissingFileIsNamedWithItsNumber) {
  shard(0, 0);
  shard(2, 2);
  const auto files = read_gguf_files(folder_ + "m-00001-of-00003.gguf");
  ASSERT_FALSE(files);
  EXPECT_EQ(files.error().code, ErrorCode::absent);
  EXPECT_NE(files.error().what.find("file 2 of 3"), std::string::npos);
  EXPECT_NE(files.error().where.find("m-00002-of-00003.gguf"), std::string::npos);
}

// Kills: the same file counted three times under three names, as links make it; a file of another model.
TEST_F(GgufFilesTest, FilesThatDoNotBelongTogetherAreRefused) {
  shard(0, 0);
  shard(1, 0);
  shard(2, 2);
  EXPECT_EQ(read_gguf_files(folder_ + "m-00001-of-00003.gguf").error().code, ErrorCode::malformed);
  shard(1, 1);
  EXPECT_TRUE(read_gguf_files(folder_ + "m-00001-of-00003.gguf"));
  shard(0, 0, 4);
  EXPECT_NE(read_gguf_files(folder_ + "m-00001-of-00003.gguf").error().what.find("3 tensors, the first says 4"),
            std::string::npos);
}

// Kills: a part that is a link to another counted again; a circle of links that is followed for ever.
TEST_F(GgufFilesTest, LinksThatLeadBackAreRefused) {
  shard(0, 0);
  for (const char* name : {"m-00002-of-00003.gguf", "m-00003-of-00003.gguf"})
    std::filesystem::create_symlink("m-00001-of-00003.gguf", folder_ + name);
  EXPECT_EQ(read_gguf_files(folder_ + "m-00001-of-00003.gguf").error().code, ErrorCode::malformed);
  EXPECT_EQ(read_gguf_files(folder_ + "m-00003-of-00003.gguf").error().code, ErrorCode::malformed);
  std::filesystem::create_symlink("y.gguf", folder_ + "x.gguf");
  std::filesystem::create_symlink("x.gguf", folder_ + "y.gguf");
  EXPECT_FALSE(read_model(folder_ + "x.gguf"));
}

TEST_F(GgufFilesTest, OneOfSeveralUnderAnotherNameSaysHowTheyAreFound) {
  std::filesystem::rename(shard(0, 0), folder_ + "renamed.gguf");
  const auto files = read_gguf_files(folder_ + "renamed.gguf");
  ASSERT_FALSE(files);
  EXPECT_NE(files.error().fix.find("-00001-of-"), std::string::npos);
}

TEST_F(GgufFilesTest, TensorsPastTheEndOrOnEachOtherAreRefused) {
  const GgufWriter one = GgufWriter().tensor("a", {8, 4}, 0);
  EXPECT_TRUE(read_gguf_files(write("whole.gguf", one, 128)));
  const auto cut = read_gguf_files(write("cut.gguf", one, 127));
  ASSERT_FALSE(cut);
  EXPECT_NE(cut.error().what.find("ends before tensor 'a'"), std::string::npos);
  const auto two = read_gguf_files(write("two.gguf", GgufWriter().tensor("a", {8}, 0).tensor("b", {8}, 0), 256));
  ASSERT_FALSE(two);
  EXPECT_NE(two.error().what.find("lies on another"), std::string::npos);
  EXPECT_FALSE(read_gguf_files(write("odd.gguf", GgufWriter().word("general.alignment", 3), 0)));
  EXPECT_FALSE(read_gguf_files(write("no.gguf", GgufWriter().word("general.alignment", 0), 0)));
}

TEST_F(GgufFilesTest, APipeIsRefusedAndNotWaitedFor) {
  ASSERT_EQ(::mkfifo((folder_ + "pipe").c_str(), 0600), 0);
  EXPECT_EQ(read_model(folder_ + "pipe").error().code, ErrorCode::malformed);
}

TEST_F(GgufFilesTest, WhatIsNoModelOfTextIsCountedWithoutCosts) {
  GgufWriter projector;
  projector.text("general.architecture", "clip").tensor("v.patch_embd.weight", {4, 8}, 0);
  const auto model = read_model(write("mmproj.gguf", projector, 128));
  ASSERT_TRUE(model) << model.error().what;
  EXPECT_EQ(model->shape.parameters, 32U);
  EXPECT_NE(model->why_no_costs.find("clip.block_count"), std::string::npos);
}

}  // namespace
}  // namespace prony::complexity
