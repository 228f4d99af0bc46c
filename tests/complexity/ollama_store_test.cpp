// Names and manifests of Ollama's models, good and hostile.
#include "complexity/ollama_store.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace prony::complexity {
namespace {

const std::string some_digest(64, 'a');

std::string manifest(const std::string& kind, const std::string& digest, const std::string& size) {
  return R"({"schemaVersion":2,"layers":[{"mediaType":"application/vnd.ollama.image.)" + kind + R"(","digest":")" +
         digest + R"(","size":)" + size + "}]}";
}

TEST(OllamaStore, ANameWithoutHostUserOrTagHasThoseOfTheLibrary) {
  EXPECT_EQ(ollama_manifest_place("llama3.2"), "registry.ollama.ai/library/llama3.2/latest");
  EXPECT_EQ(ollama_manifest_place("llama3.2:3b"), "registry.ollama.ai/library/llama3.2/3b");
  EXPECT_EQ(ollama_manifest_place("me/mine:q8_0"), "registry.ollama.ai/me/mine/q8_0");
  EXPECT_EQ(ollama_manifest_place("hf.co/user/Repo-GGUF:Q4_K_M"), "hf.co/user/Repo-GGUF/Q4_K_M");
  EXPECT_EQ(ollama_manifest_place("localhost:5000/a/b"), "localhost:5000/a/b/latest");
}

// Kills: a name that leads out of the folder.
TEST(OllamaStore, ANameThatWouldLeaveTheStoreIsNone) {
  using namespace std::string_view_literals;
  for (const std::string_view name :
       {""sv, ":"sv, ".."sv, "../../etc/passwd"sv, "a/../b"sv, "a:.."sv, "a:../../x"sv, "/etc/passwd"sv, "a//b"sv,
        "a/b/c/d"sv, "a:b:c"sv, "a\0b"sv, "a b"sv, ".hidden"sv, "a:"sv, "a\nb"sv}) {
    const auto place = ollama_manifest_place(name);
    ASSERT_FALSE(place) << name;
    EXPECT_EQ(place.error().code, ErrorCode::usage);
  }
  EXPECT_FALSE(ollama_manifest_place(std::string(100'000, 'a')));
}

TEST(OllamaStore, AManifestNamesItsLayers) {
  const auto layers = parse_ollama_manifest(manifest("model", "sha256:" + some_digest, "42"));
  ASSERT_TRUE(layers) << layers.error().what;
  ASSERT_EQ(layers->size(), 1U);
  EXPECT_EQ(layers->front().kind, "model");
  EXPECT_EQ(layers->front().blob_name, "sha256-" + some_digest);
  EXPECT_EQ(layers->front().bytes, 42U);
}

TEST(OllamaStore, AManifestThatWouldLeaveTheStoreOrIsNoneIsRefused) {
  const std::string good = "sha256:" + some_digest;
  for (const std::string& text :
       {manifest("model", "sha256:../../../../etc/passwd", "42"),
        manifest("model", "sha256:" + std::string(64, '/'), "1"),
        manifest("model", "sha256-" + std::string(63, 'a'), "1"), manifest("model", good, "-1"),
        manifest("model", good, "1e99"), manifest("model", good, "\"1\""), std::string("[]"), std::string("null"),
        std::string(), std::string(R"({"layers":{}})"), std::string(R"({"layers":[7]})"), std::string(500'000, '['),
        std::string(2'000'000, ' ')})
    EXPECT_FALSE(parse_ollama_manifest(text)) << text.substr(0, 120);
}

TEST(OllamaStore, ABlobThatIsNotWholeIsToldAndSoIsAModelThatIsNotThere) {
  const std::string store = testing::TempDir() + "prony-ollama-store";
  const std::string folder = store + "/manifests/registry.ollama.ai/library/m/";
  std::filesystem::create_directories(folder);
  std::filesystem::create_directories(store + "/blobs");
  std::ofstream(folder + "latest") << manifest("model", "sha256:" + some_digest, "42");
  const std::string blob = store + "/blobs/sha256-" + some_digest;
  EXPECT_EQ(find_ollama_model(store, "m").error().code, ErrorCode::absent);
  std::ofstream(blob) << std::string(41, 'x');
  EXPECT_EQ(find_ollama_model(store, "m").error().code, ErrorCode::malformed);
  std::ofstream(blob) << std::string(42, 'x');
  const auto found = find_ollama_model(store, "m");
  ASSERT_TRUE(found) << found.error().what;
  EXPECT_EQ(found->weights, std::vector<std::string>{blob});
  EXPECT_EQ(find_ollama_model(store, "other").error().code, ErrorCode::absent);
  std::ofstream(folder + "latest") << manifest("params", "sha256:" + some_digest, "42");
  EXPECT_EQ(find_ollama_model(store, "m").error().code, ErrorCode::malformed);  // no weights
  std::filesystem::remove_all(store);
}

}  // namespace
}  // namespace prony::complexity
