// What tokens cost, against figures of published models worked out by hand.
#include "complexity/model_cost.hpp"

#include <gtest/gtest.h>

#include "gguf_writer.hpp"

namespace prony::complexity {
namespace {

ModelShape shape(const GgufWriter& writer) {
  const std::string bytes = writer.bytes();
  const auto header = parse_gguf(as_head(bytes));
  EXPECT_TRUE(header) << (header ? "" : header.error().what);
  auto result = shape_of(*header);
  EXPECT_TRUE(result) << (result ? "" : result.error().what);
  return result ? *result : ModelShape{};
}

GgufWriter with_window(const std::string& architecture, bool pattern_told) {
  GgufWriter out;
  out.text("general.architecture", architecture).word(architecture + ".block_count", 6);
  out.word(architecture + ".attention.head_count", 4).word(architecture + ".attention.head_count_kv", 1);
  out.word(architecture + ".attention.key_length", 256).word(architecture + ".attention.value_length", 256);
  out.word(architecture + ".attention.sliding_window", 512);
  if (pattern_told) out.list(architecture + ".attention.sliding_window_pattern", {1, 1, 1, 1, 1, 0}, true);
  out.tensor("token_embd.weight", {1024, 1000}, 1);
  for (int i = 0; i < 6; ++i) out.tensor("blk." + std::to_string(i) + ".attn_k.weight", {1024, 256}, 1);
  return out;
}

// Llama 3.1 8B, published: 8 030 261 248 parameters; 32 layers, 32 heads on 8 key heads of 128.
TEST(ModelCost, OfLlama8BItIsWhatThePublishedShapeMakesByHand) {
  const ModelShape model = shape(llama({}));
  EXPECT_EQ(model.parameters, 8'030'261'248U);
  EXPECT_EQ(model.layers.size(), 32U);
  EXPECT_EQ(model.layers[0].key_length, 128U);
  EXPECT_EQ(model.vocabulary, 128256U);
  EXPECT_EQ(model.context_length, 131072U);
  EXPECT_TRUE(model.unknown.empty());
  const auto token = [&](double context) { return decode_cost(model, context); };
  EXPECT_NEAR(token(0).linear_flop, 15.01e9, 0.005e9);  // 2 × (parameters − embedding − norms)
  EXPECT_NEAR(token(512).attention_flop, 0.268e9, 0.001e9);
  EXPECT_NEAR(token(4096).attention_flop, 2.147e9, 0.001e9);
  EXPECT_NEAR(token(32768).attention_flop, 17.18e9, 0.01e9);  // 114 % of all matrices: "2 N" is wrong there
  EXPECT_NEAR(prefill_cost(model, 2048).flop(), 29.7e12, 0.05e12);
  EXPECT_EQ(kv_size(model).bytes_per_token, 128 * 1024);
  EXPECT_EQ(kv_reads(model).bytes_per_token, 128 * 1024);
  EXPECT_EQ(decode_cost(model, 1000).kv_read_bytes, 128 * 1024 * 1000.0);
}

// Kills: grouped queries that cut FLOP, too; they cut bytes alone.
TEST(ModelCost, FewerKeyHeadsCutBytesAndNotFlopOfAttention) {
  const ModelShape grouped = shape(llama({})), full = shape(llama({.kv_heads = 32}));
  EXPECT_EQ(decode_cost(grouped, 1000).attention_flop, decode_cost(full, 1000).attention_flop);
  EXPECT_EQ(4 * kv_size(grouped).bytes_per_token, kv_size(full).bytes_per_token);
}

// Kills: cached tokens computed again; causal attention that sees what comes after.
TEST(ModelCost, OfAPromptOneTokenAfterAnotherAndAllAtOnceComputeTheSame) {
  const ModelShape model = shape(llama({}));
  const ModelCost whole = prefill_cost(model, 100), first = prefill_cost(model, 60), rest = prefill_cost(model, 40, 60);
  EXPECT_NEAR(whole.attention_flop, first.attention_flop + rest.attention_flop, 1);
  const double head = 2.0 * 4096 * 128256;  // logits, once for each of the two
  EXPECT_NEAR(whole.linear_flop + head, first.linear_flop + rest.linear_flop, 1e6);
  double by_one = 0;
  for (int i = 1; i <= 100; ++i) by_one += decode_cost(model, i).attention_flop;
  EXPECT_NEAR(whole.attention_flop, by_one, 1);
}

// Kills: a sum over steps that takes the last one's context for all, or lets a window grow.
TEST(ModelCost, OfAnAnswerItIsTheSumOfItsSteps) {
  for (const ModelShape& model : {shape(llama({})), shape(with_window("gemma3", true))}) {
    const ModelCost all = generation_cost(model, 500, 100, 3);
    ModelCost sum;
    for (int i = 1; i <= 100; ++i) {
      const ModelCost step = decode_cost(model, 500 + i, 3);
      sum.linear_flop += step.linear_flop;
      sum.attention_flop += step.attention_flop;
      sum.weight_bytes += step.weight_bytes;
      sum.kv_read_bytes += step.kv_read_bytes;
      sum.kv_written_bytes += step.kv_written_bytes;
    }
    EXPECT_NEAR(all.attention_flop / sum.attention_flop, 1, 1e-12);
    EXPECT_NEAR(all.flop() / sum.flop(), 1, 1e-12);
    EXPECT_NEAR(all.kv_read_bytes / sum.kv_read_bytes, 1, 1e-12);
    EXPECT_NEAR(all.bytes() / sum.bytes(), 1, 1e-12);
  }
  EXPECT_EQ(generation_cost(shape(llama({})), 500, 0).flop(), 0);
}

TEST(ModelCost, AStepReadsTheWeightsOnceWhateverItsBatch) {
  const ModelShape model = shape(llama({}));
  const double one = decode_cost(model, 0).weight_bytes, eight = decode_cost(model, 0, 8).weight_bytes;
  EXPECT_NEAR(one, 15.01e9, 0.01e9);            // F16: 2 bytes an element, and norms
  EXPECT_NEAR(eight - one, 7 * 4096 * 2.0, 1);  // a row of the embedding each
  EXPECT_EQ(*model.weights_bytes, (8'030'261'248ULL - 65 * 4096) * 2 + 65ULL * 4096 * 4);
  EXPECT_NEAR(model.bits_per_weight(), 16, 0.01);
}

TEST(ModelCost, WithoutAnOutputMatrixTheEmbeddingIsOneAndIsNotCountedTwice) {
  const ModelShape tied = shape(llama({.tied = true})), untied = shape(llama({}));
  EXPECT_EQ(decode_cost(tied, 10).flop(), decode_cost(untied, 10).flop());
  EXPECT_EQ(untied.parameters - tied.parameters, 4096U * 128256);
}

// Gemma 3: five layers see 512 tokens, the sixth all. One layer keeps 2 · 256 numbers of two bytes of a token.
TEST(ModelCost, LayersWithAWindowStopGrowingWhereItIsFull) {
  for (const bool told : {false, true}) {
    const ModelShape model = shape(with_window("gemma3", told));
    EXPECT_EQ(model.layers[4].window, 512U);
    EXPECT_EQ(model.layers[5].window, 0U);
    EXPECT_EQ(kv_size(model).bytes(100), 6 * 1024 * 100.0);
    EXPECT_EQ(kv_size(model).bytes(2000), 1024 * 2000.0 + 5 * 1024 * 512.0);
    EXPECT_EQ(decode_cost(model, 2000).kv_read_bytes, 1024 * 2000.0 + 5 * 1024 * 512.0);
    EXPECT_EQ(decode_cost(model, 2000).attention_flop, 4 * 4 * 256 * (2000.0 + 5 * 512.0));
  }
}

// Kills: a window believed for layers that may not have it.
TEST(ModelCost, AWindowWithoutAPatternIsNotGuessed) {
  const ModelShape model = shape(with_window("newmodel", false));
  for (const BlockShape& layer : model.layers) EXPECT_EQ(layer.window, 0U);
  ASSERT_EQ(model.unknown.size(), 1U);
  EXPECT_NE(model.unknown[0].find("512"), std::string::npos);
}

// Mixtral's kind: 8 experts, 2 used. Kills: all experts computed; all read by one token; too few read by a batch.
TEST(ModelCost, OfExpertsATokenComputesThoseItUsesAndABatchReadsMoreOfThem) {
  GgufWriter out;
  out.text("general.architecture", "llama").word("llama.block_count", 1).word("llama.expert_count", 8);
  out.word("llama.expert_used_count", 2).word("llama.attention.head_count", 4);
  out.tensor("blk.0.attn_k.weight", {64, 64}, 1).tensor("blk.0.ffn_gate_inp.weight", {64, 8}, 0);
  out.tensor("blk.0.ffn_up_exps.weight", {64, 128, 8}, 1);
  const ModelShape model = shape(out);
  EXPECT_EQ(decode_cost(model, 0).linear_flop, 2.0 * (64 * 64 + 64 * 8 + 64 * 128 * 2));
  const double dense = 64 * 64 * 2 + 64 * 8 * 4, experts = 64 * 128 * 8 * 2;
  EXPECT_NEAR(decode_cost(model, 0, 1).weight_bytes, dense + experts * 0.25, 1e-6);
  EXPECT_NEAR(decode_cost(model, 0, 2).weight_bytes, dense + experts * (1 - 0.75 * 0.75), 1e-6);
  EXPECT_NEAR(decode_cost(model, 0, 1000).weight_bytes, dense + experts, 1e-6);
}

// DeepSeek-V2-Lite: rank 512 and 64 turned numbers, 16 heads: 576 numbers a token and layer, 2·16·(2·512 + 64) FLOP.
TEST(ModelCost, LatentAttentionKeepsOneVectorForAllHeads) {
  GgufWriter out;
  out.text("general.architecture", "deepseek2").word("deepseek2.block_count", 2);
  out.word("deepseek2.attention.head_count", 16).word("deepseek2.attention.kv_lora_rank", 512);
  out.word("deepseek2.rope.dimension_count", 64).word("deepseek2.attention.key_length", 192);
  for (int i = 0; i < 2; ++i) {
    const std::string block = "blk." + std::to_string(i) + ".";
    out.tensor(block + "attn_kv_a_mqa.weight", {2048, 576}, 1).tensor(block + "attn_k_b.weight", {128, 512, 16}, 1);
    out.tensor(block + "attn_v_b.weight", {512, 128, 16}, 1).tensor(block + "attn_kv_b.weight", {512, 4096}, 1);
  }
  const ModelShape model = shape(out);
  EXPECT_EQ(kv_size(model).bytes_per_token, 2 * 576 * 2.0);
  EXPECT_EQ(decode_cost(model, 100).attention_flop, 2 * 2.0 * 16 * (2 * 512 + 64) * 100);
  EXPECT_EQ(decode_cost(model, 0).linear_flop, 2 * 2.0 * (2048 * 576 + 2 * 128 * 512 * 16));  // not both forms
}

TEST(ModelCost, ARecurrentLayerKeepsAStateThatDoesNotGrow) {
  GgufWriter out;
  out.text("general.architecture", "mamba").word("mamba.block_count", 2).word("mamba.ssm.inner_size", 128);
  out.word("mamba.ssm.state_size", 16);
  for (int i = 0; i < 2; ++i) out.tensor("blk." + std::to_string(i) + ".ssm_in.weight", {64, 256}, 1);
  const ModelShape model = shape(out);
  EXPECT_TRUE(model.layers[0].recurrent);
  EXPECT_EQ(kv_size(model).bytes(1), kv_size(model).bytes(100'000));
  EXPECT_EQ(kv_size(model).state_bytes, 2 * 128 * 16 * 4.0);
  EXPECT_EQ(decode_cost(model, 100).attention_flop, 0);
}

TEST(ModelCost, HeadsMayDifferFromLayerToLayerAndLayersThatGuessFurtherTokensAreNoPart) {
  GgufWriter out;
  out.text("general.architecture", "x").word("x.block_count", 3).word("x.nextn_predict_layers", 1);
  out.list("x.attention.head_count", {4, 8, 8}).list("x.attention.head_count_kv", {0, 2, 2});
  out.word("x.attention.key_length", 64);
  for (int i = 0; i < 3; ++i) out.tensor("blk." + std::to_string(i) + ".attn_k.weight", {512, 128}, 1);
  const ModelShape model = shape(out);
  ASSERT_EQ(model.layers.size(), 2U);
  EXPECT_EQ(kv_size(model).bytes_per_token, 2 * 2 * 64 * 2.0);
}

// Weights of 16.06 GB; of a cache 128 KiB a token. Kills: query heads for key heads (4 times as much), a cache of one
// request for all of them, a window that goes on growing.
TEST(MemoryEstimate, IsWeightsAndTheCacheOfAllRequests) {
  const MemoryEstimate eight = memory_estimate(shape(llama({})), 4096, 8);
  EXPECT_EQ(*eight.weights_bytes, (8'030'261'248.0 - 65 * 4096) * 2 + 65.0 * 4096 * 4);
  EXPECT_EQ(eight.kv_bytes, 8 * 4096 * 128 * 1024.0);
  EXPECT_EQ(*eight.bytes(), *eight.weights_bytes + eight.kv_bytes);
  EXPECT_EQ(memory_estimate(shape(llama({})), 4096, 8, 1.0625).kv_bytes, eight.kv_bytes * 1.0625 / 2);
  const ModelShape windowed = shape(with_window("gemma3", true));
  EXPECT_EQ(memory_estimate(windowed, 2000, 3).kv_bytes, 3 * (1024 * 2000.0 + 5 * 1024 * 512.0));
  ModelShape unknown = windowed;
  unknown.weights_bytes.reset();
  EXPECT_FALSE(memory_estimate(unknown, 10).bytes());
}

// 4 bits or 16: what is computed is the same, what is read is not. Kills: FLOP made of bytes.
TEST(ModelCost, ManyBitsOrFewTheFlopAreTheSame) {
  const auto with_type = [](std::uint32_t type) {
    GgufWriter out;
    out.text("general.architecture", "llama").word("llama.block_count", 1).word("llama.attention.head_count", 4);
    out.tensor("token_embd.weight", {256, 1000}, type).tensor("output.weight", {256, 1000}, type);
    out.tensor("blk.0.attn_k.weight", {256, 64}, type).tensor("blk.0.ffn_up.weight", {256, 1024}, type);
    return shape(out);
  };
  const ModelShape half = with_type(1), four = with_type(12);
  EXPECT_EQ(prefill_cost(half, 100).flop(), prefill_cost(four, 100).flop());
  EXPECT_EQ(decode_cost(half, 100, 3).flop(), decode_cost(four, 100, 3).flop());
  EXPECT_NEAR(decode_cost(four, 0).weight_bytes / decode_cost(half, 0).weight_bytes, 4.5 / 16, 1e-9);
}

TEST(ModelCost, AQuantisedCacheTakesWhatItsBlocksTake) {
  EXPECT_EQ(cache_bytes_per_number("f16"), 2.0);
  EXPECT_EQ(cache_bytes_per_number("q8_0"), 1.0625);
  EXPECT_EQ(cache_bytes_per_number("q4_0"), 0.5625);
  EXPECT_FALSE(cache_bytes_per_number("q3_z"));
  EXPECT_EQ(kv_size(shape(llama({})), 1.0625).bytes_per_token, 64 * 1024 * 1.0625);
}

// Every row of the table, against bits per weight as published.
TEST(TensorTypes, TakeAsManyBitsAsPublished) {
  const std::vector<std::pair<std::string, double>> published{
      {"Q4_0", 4.5},   {"Q5_0", 5.5},    {"Q8_0", 8.5},    {"Q2_K", 2.625},  {"Q3_K", 3.4375},  {"Q4_K", 4.5},
      {"Q5_K", 5.5},   {"Q6_K", 6.5625}, {"IQ4_XS", 4.25}, {"MXFP4", 4.25},  {"TQ1_0", 1.6875}, {"IQ2_XXS", 2.0625},
      {"IQ1_M", 1.75}, {"Q1_0", 1.125},  {"NVFP4", 4.5},   {"IQ3_S", 3.4375}};
  for (const auto& [name, bits] : published) {
    const auto bytes = cache_bytes_per_number(name);
    ASSERT_TRUE(bytes) << name;
    EXPECT_EQ(*bytes * 8, bits) << name;
  }
}

TEST(ModelShape, WhatIsNotSaidIsRefusedOrNamed) {
  const auto error = [](const GgufWriter& writer) {
    const std::string bytes = writer.bytes();
    const auto result = shape_of(*parse_gguf(as_head(bytes)));
    return result ? std::string() : result.error().what;
  };
  EXPECT_NE(error(GgufWriter()), "");
  EXPECT_NE(error(GgufWriter().text("general.architecture", "x")), "");
  EXPECT_NE(error(GgufWriter().text("general.architecture", "x").word("x.block_count", 0xffffffff)), "");
  EXPECT_NE(error(GgufWriter()
                      .text("general.architecture", "x")
                      .word("x.block_count", 1)
                      .tensor("blk.0.attn_k.weight", {4, 4}, 1)),
            "");
  EXPECT_EQ(error(GgufWriter().text("general.architecture", "x").word("x.block_count", 1)), "");
}

}  // namespace
}  // namespace prony::complexity
