// Texts of /proc/PID/fdinfo as three drivers write them.
#include "machine/drm_fdinfo.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace prony {
namespace {

// Kills: KiB read as bytes; the old and the new name of one memory added; engines of one card overwritten by the next.
TEST(DrmFdinfo, OfAmdgpuEnginesAreNanosecondsAndTheCardsMemoryIsCountedOnce) {
  const auto client = parse_drm_fdinfo(
      "pos:\t0\nflags:\t02100002\ndrm-driver:\tamdgpu\ndrm-client-id:\t42\ndrm-pdev:\t0000:03:00.0\n"
      "drm-memory-vram:\t1024 KiB\ndrm-memory-gtt: \t77 KiB\ndrm-resident-vram:\t1024 KiB\n"
      "drm-engine-gfx:\t123 ns\ndrm-engine-compute:\t5000 ns\n");
  ASSERT_TRUE(client);
  EXPECT_EQ(client->driver, "amdgpu");
  EXPECT_EQ(client->device, "0000:03:00.0");
  EXPECT_EQ(client->client_id, 42u);
  EXPECT_EQ(client->memory_bytes, 1024u * 1024);
  ASSERT_EQ(client->engines.size(), 2u);
  EXPECT_EQ(client->engines[1].name, "compute");
  EXPECT_EQ(drm_busy_ns(*client), 5123u);
}

TEST(DrmFdinfo, OfI915AKindOfSeveralEnginesSaysHowMany) {
  const auto client = parse_drm_fdinfo(
      "drm-driver: i915\ndrm-client-id: 3\ndrm-engine-render: 10 ns\ndrm-engine-video: 9 ns\n"
      "drm-engine-capacity-video: 2\n");
  ASSERT_TRUE(client);
  EXPECT_EQ(client->device, "");
  EXPECT_EQ(client->engines[1].capacity, 2u);
  EXPECT_EQ(client->engines[0].capacity, 1u);
  EXPECT_EQ(client->engines.size(), 2u);  // a capacity is no engine of its own
  EXPECT_EQ(client->memory_bytes, std::nullopt);
}

// Kills: cycles sold as nanoseconds.
TEST(DrmFdinfo, OfXeThereAreCyclesAndNoTime) {
  const auto client = parse_drm_fdinfo(
      "drm-driver:\txe\ndrm-client-id:\t7\ndrm-resident-vram0:\t2 MiB\ndrm-cycles-rcs:\t28\ndrm-total-cycles-rcs:\t76\n"
      "drm-engine-capacity-ccs:\t4\n");
  ASSERT_TRUE(client);
  EXPECT_EQ(drm_busy_ns(*client), std::nullopt);
  EXPECT_EQ(client->engines[0].cycles, 28u);
  EXPECT_EQ(client->engines[0].total_cycles, 76u);
  EXPECT_EQ(client->memory_bytes, 2u << 20);
}

TEST(DrmFdinfo, WhatMakesNoSenseIsPassedOverAndAnotherFilesTextIsNone) {
  EXPECT_FALSE(parse_drm_fdinfo("pos:\t0\nflags:\t02\nino:\t1\n"));
  EXPECT_FALSE(parse_drm_fdinfo(""));
  EXPECT_FALSE(parse_drm_fdinfo("drm-driver:\n"));
  const auto client = parse_drm_fdinfo(
      "drm-driver: amdgpu\ndrm-client-id: minus one\ndrm-engine-: 5 ns\ndrm-engine-gfx: 5\ndrm-engine-dec: 5 ms\n"
      "drm-engine-enc: 99999999999999999999 ns\ndrm-memory-vram: 18446744073709551615 GiB\n"
      "drm-engine-capacity-gfx: 0\nnonsense\n");
  ASSERT_TRUE(client);
  EXPECT_EQ(client->client_id, std::nullopt);
  EXPECT_TRUE(client->engines.empty());
  EXPECT_EQ(client->memory_bytes, std::nullopt);
  std::string many = "drm-driver: amdgpu\n";
  for (int i = 0; i < 1000; ++i) many += "drm-engine-e" + std::to_string(i) + ": 18446744073709551615 ns\n";
  const auto crowd = parse_drm_fdinfo(many);
  ASSERT_TRUE(crowd);
  EXPECT_EQ(crowd->engines.size(), 32u);
  EXPECT_EQ(drm_busy_ns(*crowd), std::nullopt);  // their sum has no room in 64 bits
}

}  // namespace
}  // namespace prony
