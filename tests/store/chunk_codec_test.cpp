#include "store/chunk_codec.hpp"

#include <cstdint>
#include <limits>

#include "store_test_support.hpp"

namespace prony {
namespace {

using test::Random;

void expect_same(const TickBlock& a, const TickBlock& b) {
  ASSERT_EQ(a.ticks(), b.ticks());
  ASSERT_EQ(a.channels(), b.channels());
  EXPECT_EQ(a.group(), b.group());
  for (std::size_t t = 0; t < a.ticks(); ++t) {
    ASSERT_EQ(a.begin(t), b.begin(t)) << t;
    ASSERT_EQ(a.end(t), b.end(t)) << t;
    for (std::size_t c = 0; c < a.channels(); ++c) {
      ASSERT_EQ(a.reading(c, t).quality, b.reading(c, t).quality) << t << " " << c;
      if (a.reading(c, t).quality != Quality::gap) {
        ASSERT_EQ(a.reading(c, t).raw, b.reading(c, t).raw) << t << " " << c;
      }
    }
  }
}

void expect_round_trip(const TickBlock& block) {
  const auto bytes = encode_chunk(block, 0, block.ticks());
  ASSERT_TRUE(bytes) << bytes.error().what;
  const auto back = decode_chunk(*bytes);
  ASSERT_TRUE(back) << back.error().what;
  expect_same(block, *back);
}

constexpr auto lowest = std::numeric_limits<std::int64_t>::min();
constexpr auto highest = std::numeric_limits<std::int64_t>::max();

// Bug it kills: signed differences, which overflow between the two ends of the range.
TEST(ChunkCodec, TheExtremesOfInt64ComeBackAsTheyWere) {
  TickBlock block({7}, 3, 16);
  const std::int64_t values[] = {lowest, highest, 0,       -1,         1,           lowest,
                                 lowest, highest, highest, lowest + 1, highest - 1, 42};
  std::int64_t at = 5;
  for (const auto value : values) {
    const Reading readings[] = {{value, Quality::ok}, {~value, Quality::late}, {value / 2, Quality::ok}};
    block.push({at}, {at + value % 1000}, readings);
    at += 1'000'000;
  }
  expect_round_trip(block);
}

// Bug it kills: a step divided by the common divisor with C++'s signed division of the most negative number.
TEST(ChunkCodec, ColumnsOfExtremesOnlyComeBack) {
  for (const auto& [first, second] : {std::pair{lowest, highest}, {lowest, std::int64_t{0}}, {highest, lowest}}) {
    TickBlock block({1}, 1, 5);
    for (int t = 0; t < 5; ++t) {
      const Reading reading{t % 2 == 0 ? first : second, Quality::ok};
      block.push({t}, {t}, {&reading, 1});
    }
    expect_round_trip(block);
  }
}

TEST(ChunkCodec, OneTickAndNoChannelsAreChunksToo) {
  TickBlock block({1}, 0, 3);
  block.push({10}, {11}, {});
  expect_round_trip(block);
  block.push({20}, {25}, {});
  expect_round_trip(block);
}

// Bug it kills: runs of quality counted over the channel's end, or a gap's stale number given out as a reading.
TEST(ChunkCodec, GapsAndLateTicksKeepTheirPlacesAndAGapsNumberIsGone) {
  Random random(3);
  TickBlock block({1}, 4, 500);
  for (int t = 0; t < 500; ++t) {
    Reading readings[4];
    for (auto& reading : readings)
      reading = {static_cast<std::int64_t>(random.next() % 1000), static_cast<Quality>(random.next() % 3)};
    block.push({t * 1000}, {t * 1000 + 30}, readings);
  }
  expect_round_trip(block);
  const auto bytes = encode_chunk(block, 0, 500);
  ASSERT_TRUE(bytes);
  const auto back = decode_chunk(*bytes);
  ASSERT_TRUE(back);
  for (std::size_t t = 0; t < 500; ++t)
    if (back->reading(0, t).quality == Quality::gap) {
      EXPECT_EQ(back->reading(0, t).raw, 0);
    }
}

TEST(ChunkCodec, RandomBlocksOfEveryShapeComeBack) {
  Random random(11);
  for (int round = 0; round < 300; ++round) {
    const auto channels = random.next() % 6;
    const auto ticks = 1 + random.next() % 80;
    const auto shift = random.next() % 64;
    TickBlock block({static_cast<std::uint32_t>(random.next())}, channels, ticks);
    std::vector<Reading> readings(channels);
    for (std::size_t t = 0; t < ticks; ++t) {
      for (auto& reading : readings)
        reading = {static_cast<std::int64_t>((random.next() >> shift) * (round % 3 == 0 ? 1000u : 1u)),
                   random.next() % 10 == 0 ? Quality::gap : Quality::ok};
      block.push({static_cast<std::int64_t>(random.next() >> shift)}, {static_cast<std::int64_t>(random.next())},
                 readings);
    }
    expect_round_trip(block);
  }
}

TEST(ChunkCodec, APartOfABlockIsEncodedAsThatPart) {
  TickBlock block({1}, 1, 10);
  for (std::int64_t t = 0; t < 10; ++t) {
    const Reading reading{t * t, Quality::ok};
    block.push({t}, {t + 1}, {&reading, 1});
  }
  const auto bytes = encode_chunk(block, 3, 4);
  ASSERT_TRUE(bytes);
  const auto back = decode_chunk(*bytes);
  ASSERT_TRUE(back);
  ASSERT_EQ(back->ticks(), 4U);
  EXPECT_EQ(back->begin(0).ns, 3);
  EXPECT_EQ(back->reading(0, 3).raw, 36);
  EXPECT_FALSE(encode_chunk(block, 8, 3));
  EXPECT_FALSE(encode_chunk(block, 0, 0));
}

TickBlock noisy_block() {
  Random random(5);
  TickBlock block({1}, 5, 700);
  for (std::int64_t t = 0; t < 700; ++t) {
    Reading readings[5];
    for (auto& reading : readings)
      reading = {t * 50'000 + static_cast<std::int64_t>(random.next() % 3000), Quality::ok};
    block.push({t * 1'000'000}, {t * 1'000'000 + 9000}, readings);
  }
  return block;
}

// Bug it kills: a checksum that is written and never looked at.
TEST(ChunkCodec, EveryFlippedBitIsFoundOrHarmless) {
  const auto block = noisy_block();
  const auto bytes = encode_chunk(block, 0, block.ticks());
  ASSERT_TRUE(bytes);
  Random random(8);
  int found = 0;
  for (int round = 0; round < 400; ++round) {
    auto broken = *bytes;
    broken[random.next() % broken.size()] ^= static_cast<std::byte>(1U << (random.next() % 8));
    const auto back = decode_chunk(broken);
    if (back) {
      expect_same(block, *back);  // a bit of the frame that says nothing
    } else {
      ++found;
      EXPECT_EQ(back.error().code, ErrorCode::malformed);
    }
  }
  EXPECT_GT(found, 390);
}

TEST(ChunkCodec, ACutChunkIsAnErrorAtEveryLength) {
  const auto block = noisy_block();
  const auto bytes = encode_chunk(block, 0, block.ticks());
  ASSERT_TRUE(bytes);
  for (std::size_t length = 0; length < bytes->size(); length += 37)
    EXPECT_FALSE(decode_chunk(std::span(*bytes).first(length))) << length;
}

}  // namespace
}  // namespace prony
