// Models as transformers keep them: published parameter counts, caches and costs worked out by hand.
#include "complexity/huggingface.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "complexity/model_cost.hpp"
#include "complexity/model_files.hpp"
#include "complexity/safetensors.hpp"
#include "published_models.hpp"

namespace prony::complexity {
namespace {

HuggingfaceFiles laid_together(const std::string& config, const PublishedTensors& tensors) {
  auto read = parse_huggingface_config(config);
  EXPECT_TRUE(read) << (read ? "" : read.error().what);
  const SafetensorsHead head = safetensors_head(tensors);
  auto parsed = parse_safetensors_json(head.json, head.data_bytes);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().what);
  return huggingface_model(std::move(*read), std::move(*parsed));
}

ModelShape shape_from(const std::string& config, const PublishedTensors& tensors) {
  const HuggingfaceFiles files = laid_together(config, tensors);
  EXPECT_EQ(files.why_no_costs, "");
  auto shape = shape_of(files.header);
  EXPECT_TRUE(shape) << (shape ? "" : shape.error().what);
  return shape ? *shape : ModelShape{};
}

constexpr const char* llama_config = R"({"model_type":"llama","num_hidden_layers":32,"hidden_size":4096,
  "num_attention_heads":32,"num_key_value_heads":8,"max_position_embeddings":131072,"tie_word_embeddings":false})";

TEST(Huggingface, Llama8BCostsWhatItsPublishedShapeMakes) {
  const ModelShape model = shape_from(llama_config, published({}));
  EXPECT_EQ(model.parameters, 8'030'261'248U);
  EXPECT_EQ(model.weights_bytes, 2 * 8'030'261'248U);
  EXPECT_EQ(model.bits_per_weight(), 16);
  EXPECT_EQ(model.context_length, 131072U);
  EXPECT_NEAR(decode_cost(model, 0).linear_flop, 15.01e9, 0.005e9);
  EXPECT_NEAR(decode_cost(model, 512).attention_flop, 0.268e9, 0.001e9);
  EXPECT_NEAR(prefill_cost(model, 2048).flop(), 29.7e12, 0.05e12);
  EXPECT_EQ(kv_size(model).bytes_per_token, 128 * 1024);
}

// Kills: gated matrices counted as two, the embedding looked up by multiplying. Published: 1 235 814 400 parameters.
TEST(Huggingface, Llama1BComputesTwiceItsParametersATokenAsThePublishedRuleSays) {
  PublishedShape one{2048, 16, 32, 8, 64, 8192, 128256};
  one.tied = true;
  const ModelShape model = shape_from(R"({"model_type":"llama","num_hidden_layers":16,"hidden_size":2048,"head_dim":64,
    "num_attention_heads":32,"num_key_value_heads":8,"tie_word_embeddings":true})",
                                      published(one));
  EXPECT_EQ(model.parameters, 1'235'814'400U);
  EXPECT_NEAR(decode_cost(model, 0).flop() / (2 * 1'235'814'400.0), 1, 0.05);
}

// Kills: experts counted once, or all of them computed. 12.9 of 46.7 thousand million are active.
TEST(Huggingface, MixtralHasAllItsExpertsAndComputesTwo) {
  const ModelShape model = shape_from(R"({"model_type":"mixtral","num_hidden_layers":32,"hidden_size":4096,
    "num_attention_heads":32,"num_key_value_heads":8,"num_local_experts":8,"num_experts_per_tok":2,
    "sliding_window":null,"tie_word_embeddings":false})",
                                      published({.vocabulary = 32000, .experts = 8}));
  EXPECT_EQ(model.parameters, 46'702'792'704U);
  EXPECT_EQ(model.experts, 8U);
  EXPECT_NEAR(decode_cost(model, 0).linear_flop, 2 * (12.88e9 - 32000 * 4096), 0.01e9);
  EXPECT_EQ(kv_size(model).bytes_per_token, 128 * 1024);
}

TEST(Huggingface, Qwen25SmallUsesItsEmbeddingTwiceAndCountsItOnce) {
  const std::string config = R"({"model_type":"qwen2","num_hidden_layers":24,"hidden_size":896,"num_attention_heads":14,
    "num_key_value_heads":2,"tie_word_embeddings":true,"use_sliding_window":false,"sliding_window":32768,
    "max_window_layers":21})";
  PublishedShape small{896, 24, 14, 2, 64, 4864, 151936};
  small.tied = small.qkv_bias = true;
  const ModelShape model = shape_from(config, published(small));
  EXPECT_EQ(model.parameters, 494'032'768U);
  EXPECT_TRUE(model.tied);
  EXPECT_EQ(model.layers[23].window, 0U);  // Kills: a window that is told and not used
  EXPECT_EQ(kv_size(model).bytes_per_token, 24 * 2 * 2 * 64 * 2.0);
  small.tied = false;  // stored twice all the same
  EXPECT_EQ(shape_from(config, published(small)).parameters, 494'032'768U);
}

TEST(Huggingface, Qwen3HasHeadsLongerThanItsEmbeddingDivided) {
  PublishedShape small{1024, 28, 16, 8, 128, 3072, 151936};
  small.tied = small.head_norms = true;
  const ModelShape model = shape_from(R"({"model_type":"qwen3","num_hidden_layers":28,"hidden_size":1024,"head_dim":128,
    "num_attention_heads":16,"num_key_value_heads":8,"tie_word_embeddings":true})",
                                      published(small));
  EXPECT_EQ(model.parameters, 596'049'920U);
  EXPECT_EQ(kv_size(model).bytes_per_token, 28 * 2 * 8 * 128 * 2.0);
}

TEST(Huggingface, Gemma2SeesAllWithEveryOtherLayer) {
  PublishedShape two{2304, 26, 8, 4, 256, 9216, 256000};
  two.tied = two.four_norms = true;
  const ModelShape model =
      shape_from(R"({"model_type":"gemma2","num_hidden_layers":26,"hidden_size":2304,"head_dim":256,
    "num_attention_heads":8,"num_key_value_heads":4,"sliding_window":4096})",
                 published(two));
  EXPECT_EQ(model.parameters, 2'614'341'888U);
  EXPECT_EQ(model.layers[0].window, 4096U);
  EXPECT_EQ(model.layers[1].window, 0U);
  EXPECT_EQ(kv_size(model).bytes(8192), 13 * 2 * 4 * 256 * 2.0 * (4096 + 8192));
}

TEST(Huggingface, MistralsWindowIsOfAllLayers) {
  const ModelShape model = shape_from(R"({"model_type":"mistral","num_hidden_layers":32,"hidden_size":4096,
    "num_attention_heads":32,"num_key_value_heads":8,"sliding_window":4096})",
                                      published({.vocabulary = 32000}));
  EXPECT_EQ(model.parameters, 7'241'732'096U);
  EXPECT_EQ(kv_size(model).bytes(100'000), 128 * 1024 * 4096.0);
}

TEST(Huggingface, Phi3HasJoinedMatrices) {
  PublishedShape mini{3072, 32, 32, 32, 96, 8192, 32064};
  mini.joined = true;
  const ModelShape model = shape_from(R"({"model_type":"phi3","num_hidden_layers":32,"hidden_size":3072,
    "num_attention_heads":32,"num_key_value_heads":32,"sliding_window":2047,"tie_word_embeddings":false})",
                                      published(mini));
  EXPECT_EQ(model.parameters, 3'821'079'552U);
  EXPECT_EQ(kv_size(model).windowed_bytes_per_token, 32 * 2 * 3072 * 2.0);
}

// Kills: masks that GPT-2's file holds beside its weights counted as parameters.
TEST(Huggingface, Gpt2HasItsParametersAndNotItsMasks) {
  PublishedTensors tensors{{"wte.weight", {50257, 768}}, {"wpe.weight", {1024, 768}}};
  for (const char* name : {"ln_f.weight", "ln_f.bias"}) tensors.push_back({name, {768}});
  for (int i = 0; i < 12; ++i) {
    const std::string block = "h." + std::to_string(i) + ".";
    for (const char* name : {"ln_1.weight", "ln_1.bias", "ln_2.weight", "ln_2.bias"})
      tensors.push_back({block + name, {768}});
    tensors.push_back({block + "attn.bias", {1, 1, 1024, 1024}});
    for (const auto& [name, in, out] : {std::tuple("attn.c_attn", 768U, 2304U), std::tuple("attn.c_proj", 768U, 768U),
                                        std::tuple("mlp.c_fc", 768U, 3072U), std::tuple("mlp.c_proj", 3072U, 768U)}) {
      tensors.push_back({block + name + ".weight", {in, out}});
      tensors.push_back({block + name + ".bias", {out}});
    }
  }
  const ModelShape model =
      shape_from(R"({"model_type":"gpt2","n_layer":12,"n_head":12,"n_embd":768,"n_positions":1024})", tensors);
  EXPECT_EQ(model.parameters, 124'439'808U);
  EXPECT_TRUE(model.tied);
  EXPECT_EQ(kv_size(model).bytes_per_token, 12 * 2 * 768 * 2.0);
  EXPECT_EQ(decode_cost(model, 0).linear_flop, 2.0 * (12 * 12 * 768 * 768 + 50257 * 768));
}

// DeepSeek-V2-Lite: a dense layer, then 64 experts of which 6 are used, 2 shared; a latent vector of 512 + 64.
TEST(Huggingface, DeepSeekKeepsALatentVectorAndHasSharedExperts) {
  PublishedTensors tensors{
      {"model.embed_tokens.weight", {102400, 2048}}, {"lm_head.weight", {102400, 2048}}, {"model.norm.weight", {2048}}};
  const auto feed = [&tensors](const std::string& where, std::uint64_t size) {
    for (const char* name : {"gate_proj.weight", "up_proj.weight"}) tensors.push_back({where + name, {size, 2048}});
    tensors.push_back({where + "down_proj.weight", {2048, size}});
  };
  for (int i = 0; i < 27; ++i) {
    const std::string block = "model.layers." + std::to_string(i) + ".";
    for (const char* name : {"input_layernorm.weight", "post_attention_layernorm.weight"})
      tensors.push_back({block + name, {2048}});
    tensors.push_back({block + "self_attn.q_proj.weight", {16 * 192, 2048}});
    tensors.push_back({block + "self_attn.kv_a_proj_with_mqa.weight", {576, 2048}});
    tensors.push_back({block + "self_attn.kv_a_layernorm.weight", {512}});
    tensors.push_back({block + "self_attn.kv_b_proj.weight", {16 * 256, 512}});
    tensors.push_back({block + "self_attn.o_proj.weight", {2048, 2048}});
    if (i == 0) feed(block + "mlp.", 10944);
    if (i == 0) continue;
    tensors.push_back({block + "mlp.gate.weight", {64, 2048}});
    for (int e = 0; e < 64; ++e) feed(block + "mlp.experts." + std::to_string(e) + ".", 1408);
    feed(block + "mlp.shared_experts.", 2816);
  }
  const ModelShape model = shape_from(R"({"model_type":"deepseek_v2","num_hidden_layers":27,"hidden_size":2048,
    "num_attention_heads":16,"num_key_value_heads":16,"kv_lora_rank":512,"qk_rope_head_dim":64,"qk_nope_head_dim":128,
    "v_head_dim":128,"n_routed_experts":64,"num_experts_per_tok":6,"q_lora_rank":null,"tie_word_embeddings":false})",
                                      tensors);
  EXPECT_EQ(model.parameters, 15'706'484'224U);
  EXPECT_TRUE(model.latent());
  EXPECT_EQ(kv_size(model).bytes_per_token, 27 * 576 * 2.0);
  EXPECT_EQ(decode_cost(model, 100).attention_flop, 27 * 2.0 * 16 * (2 * 512 + 64) * 100);
  const double experts = 26.0 * 3 * 2048 * 1408, layer = 13'763'072 - 512;
  const double active =
      27 * layer + 3.0 * 2048 * 10944 + 26.0 * (64 * 2048 + 3 * 2048 * 2816) + 6 * experts + 102400.0 * 2048;
  EXPECT_NEAR(decode_cost(model, 0).linear_flop / (2 * active), 1, 1e-9);
}

TEST(Huggingface, WeightsPackedIntoWordsAreCountedAsTheyAreUsed) {
  const std::string packed = R"({"model_type":"llama","num_hidden_layers":1,"hidden_size":64,"num_attention_heads":2,
    "quantization_config":{"quant_method":")";
  PublishedTensors none;
  const std::string json =
      R"({"model.layers.0.self_attn.k_proj.qweight":{"dtype":"I32","shape":[8,64],"data_offsets":[0,2048]},)"
      R"("model.layers.0.self_attn.k_proj.scales":{"dtype":"F16","shape":[1,64],"data_offsets":[2048,2176]}})";
  const auto model = [&](const std::string& method) {
    auto config = parse_huggingface_config(packed + method + "}}");
    return huggingface_model(std::move(*config), *parse_safetensors_json(json, 2176));
  };
  const auto shape = shape_of(model("gptq\",\"bits\":4").header);
  ASSERT_TRUE(shape) << shape.error().what;
  EXPECT_EQ(shape->parameters, 64 * 64U);
  EXPECT_EQ(shape->weights_bytes, 2176U);
  EXPECT_EQ(shape->layers[0].heads, 2U);
  EXPECT_EQ(shape->layers[0].dense, 64 * 64U);
  const HuggingfaceFiles unknown = model("newpack\"");
  EXPECT_NE(unknown.why_no_costs.find("newpack"), std::string::npos);
  EXPECT_EQ(totals_of(unknown.header).parameters, 0U);  // nothing is guessed
}

TEST(Huggingface, AnUnknownArchitectureIsCountedAndItsCostsAreNotGuessed) {
  const HuggingfaceFiles files = laid_together(R"({"model_type":"brandnew","num_hidden_layers":32})", published({}));
  EXPECT_NE(files.why_no_costs.find("brandnew"), std::string::npos);
  EXPECT_EQ(totals_of(files.header).parameters, 8'030'261'248U);
  EXPECT_NE(laid_together("{}", published({})).why_no_costs, "");
}

TEST(Huggingface, ConfigsThatAreNoneAreRefusedAndOddOnesEndWell) {
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{\"a\":1e400}"), std::string("nul"), std::string(100'000, '[')})
    EXPECT_FALSE(parse_huggingface_config(text));
  const HuggingfaceFiles odd = laid_together(
      R"({"model_type":"llama","num_hidden_layers":-3,"sliding_window":1e300,"num_attention_heads":"many"})", {});
  EXPECT_FALSE(shape_of(odd.header));
}

class HuggingfaceFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "prony-huggingface-" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder_);
    write("config.json", llama_config);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << text;
  }
  // As long as it says, in a file without a byte of data on the disk.
  void write(const std::string& name, const SafetensorsHead& head) {
    write(name, head.bytes());
    std::filesystem::resize_file(folder_ + "/" + name, head.bytes().size() + head.data_bytes);
  }
  std::string folder_;
};

TEST_F(HuggingfaceFolder, AModelInSeveralFilesIsReadByItsIndex) {
  const PublishedTensors all =
      published({.hidden = 64, .layers = 32, .heads = 32, .kv_heads = 8, .head = 2, .feed = 96, .vocabulary = 100});
  const auto half = static_cast<std::ptrdiff_t>(all.size() / 2);
  write("a.safetensors", safetensors_head({all.begin(), all.begin() + half}));
  write("b.safetensors", safetensors_head({all.begin() + half, all.end()}));
  write("left-over.safetensors", safetensors_head(all));  // of no index: not read
  std::string index = R"({"metadata":{"total_size":1},"weight_map":{)";
  for (std::size_t i = 0; i < all.size(); ++i)
    index += (i == 0 ? "\"" : ",\"") + all[i].name + "\":\"" + (i < all.size() / 2 ? "a" : "b") + ".safetensors\"";
  write("model.safetensors.index.json", index + "}}");
  const auto model = read_model(folder_);
  ASSERT_TRUE(model) << model.error().what;
  EXPECT_EQ(model->paths.size(), 2U);
  std::uint64_t parameters = 0;
  for (const PublishedTensor& tensor : all)
    parameters += tensor.shape[0] * (tensor.shape.size() > 1 ? tensor.shape[1] : 1);
  EXPECT_EQ(model->shape.parameters, parameters);
  std::filesystem::remove(folder_ + "/b.safetensors");
  EXPECT_EQ(read_model(folder_).error().code, ErrorCode::absent);
  write("b.safetensors", safetensors_head({}));
  EXPECT_NE(read_model(folder_).error().what.find("not where the index says"), std::string::npos);
}

// Links that lead back to themselves, an index that names itself: an error, and no waiting.
TEST_F(HuggingfaceFolder, FilesThatLeadInCirclesAreRefused) {
  std::filesystem::create_symlink("b.safetensors", folder_ + "/a.safetensors");
  std::filesystem::create_symlink("a.safetensors", folder_ + "/b.safetensors");
  EXPECT_FALSE(read_model(folder_ + "/a.safetensors"));
  EXPECT_FALSE(read_model(folder_));
  write("model.safetensors.index.json", R"({"weight_map":{"x":"a.safetensors"}})");
  EXPECT_FALSE(read_model(folder_));
  write("model.safetensors.index.json", R"({"weight_map":{"x":"model.safetensors.index.json"}})");
  EXPECT_FALSE(read_model(folder_));
  std::filesystem::remove(folder_ + "/config.json");
  std::filesystem::create_symlink("config.json", folder_ + "/config.json");
  EXPECT_FALSE(read_model(folder_));
}

TEST_F(HuggingfaceFolder, AWholeModelOf16GigabytesIsReadFromItsHeadAlone) {
  write("model.safetensors", safetensors_head(published({})));
  const auto model = read_model(folder_);
  ASSERT_TRUE(model) << model.error().what;
  EXPECT_EQ(model->shape.parameters, 8'030'261'248U);
  EXPECT_EQ(model->why_no_costs, "");
  const auto alone = read_model(folder_ + "/model.safetensors");
  ASSERT_TRUE(alone) << alone.error().what;
  EXPECT_EQ(alone->shape.parameters, 8'030'261'248U);
  EXPECT_NE(alone->why_no_costs, "");
  std::filesystem::resize_file(folder_ + "/model.safetensors", 1'000'000);
  EXPECT_NE(read_model(folder_).error().what.find("past the end"), std::string::npos);
  std::filesystem::remove(folder_ + "/config.json");
  EXPECT_EQ(read_model(folder_).error().code, ErrorCode::absent);
}

}  // namespace
}  // namespace prony::complexity
