// Bytes that pass the checksum and lie all the same: what somebody writes who knows the format.

#include "packed_content.hpp"
#include "store/chunk_codec.hpp"
#include "store_test_support.hpp"

namespace prony {
namespace {

Result<TickBlock> chunk_of(const std::vector<std::uint8_t>& content) { return decode_chunk(test::packed(content)); }

// version, group, ticks, channels, …
TEST(HostileChunk, ClaimsOfImpossibleSizesAreRefusedBeforeMemoryIsTaken) {
  EXPECT_FALSE(chunk_of({}));
  EXPECT_FALSE(chunk_of({1}));
  EXPECT_FALSE(chunk_of({2, 1, 1, 0, 0, 0, 0, 0}));                                      // another version
  EXPECT_FALSE(chunk_of({1, 1, 0, 0}));                                                  // no ticks
  EXPECT_FALSE(chunk_of({1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x01}));                    // 4 billion ticks
  EXPECT_FALSE(chunk_of({1, 1, 0x80, 0x80, 0x04, 0xff, 0xff, 0x03}));                    // 65536 × 65535
  EXPECT_FALSE(chunk_of({1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}));  // a group of 64 bits
}

TEST(HostileChunk, AWellFormedSmallestChunkIsTaken) {
  // one tick, one channel, three constant columns (begin 4, width 2, raw 10), quality: run of one ok
  const auto block = chunk_of({1, 1, 1, 1, 8, 0, 4, 0, 20, 0, 1 << 2});
  ASSERT_TRUE(block) << block.error().what;
  EXPECT_EQ(block->begin(0).ns, 4);
  EXPECT_EQ(block->end(0).ns, 6);
  EXPECT_EQ(block->reading(0, 0).raw, 10);
}

TEST(HostileChunk, FalsePredictorsPlanesAndQualitiesAreRefused) {
  EXPECT_FALSE(chunk_of({1, 1, 1, 1, 8, 0, 4, 0, 20, 1, 9, 0, 0, 1 << 2}));  // predictor 9
  EXPECT_FALSE(chunk_of({1, 1, 1, 1, 8, 0, 4, 0, 20, 1, 0, 0, 9, 1 << 2}));  // nine planes
  EXPECT_FALSE(chunk_of({1, 1, 1, 1, 8, 0, 4, 0, 20, 0, (1 << 2) | 3}));     // quality 3
  EXPECT_FALSE(chunk_of({1, 1, 1, 1, 8, 0, 4, 0, 20, 0, 2 << 2}));           // a run over the end
  EXPECT_FALSE(chunk_of({1, 1, 1, 1, 8, 0, 4, 0, 20, 0, 0}));                // a run of nothing, for ever
  EXPECT_FALSE(chunk_of({1, 1, 1, 1, 8, 0, 4, 0, 20, 0, 1 << 2, 77}));       // something follows
  EXPECT_FALSE(chunk_of({1, 1, 2, 1, 8, 0, 4, 0, 20, 1, 0, 0, 1, 2 << 2}));  // its one plane is missing
}

TEST(HostileChunk, RandomBytesNeverCrashTheReader) {
  test::Random random(21);
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::uint8_t> content(random.next() % 60);
    for (auto& byte : content) byte = static_cast<std::uint8_t>(random.next() % (round % 2 == 0 ? 256 : 12));
    if (!content.empty()) content[0] = 1;
    (void)chunk_of(content);
    std::vector<std::byte> raw(content.size());
    for (std::size_t i = 0; i < raw.size(); ++i) raw[i] = static_cast<std::byte>(content[i]);
    EXPECT_FALSE(decode_chunk(raw));
  }
}

TEST(HostileChunk, AFrameThatClaimsGigabytesIsRefused) {
  // A zstd frame header with an 8-byte content size of 2^40.
  const std::uint8_t head[] = {0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0};
  std::vector<std::byte> bytes(sizeof head);
  std::memcpy(bytes.data(), head, sizeof head);
  const auto block = decode_chunk(bytes);
  ASSERT_FALSE(block);
  EXPECT_EQ(block.error().code, ErrorCode::malformed);
}

}  // namespace
}  // namespace prony
