#include "process/visible_devices.hpp"

#include <gtest/gtest.h>

#include <array>

namespace prony {
namespace {

const std::array<NamedDevice, 3> three{
    {{"GPU-8f1c0000-1", "gpu-0"}, {"GPU-8f2c0000-2", "gpu-1"}, {"GPU-77770000-3", "gpu-2"}}};

std::string in_bus_order(std::string_view value) { return visible_devices_words(value, "PCI_BUS_ID", three); }

// Kills: an index taken for a place in the list, what comes after a wrong entry shown, an ambiguous beginning guessed.
TEST(VisibleDevices, IndicesUuidsAndMigDevicesAreNamedUpToTheFirstThatNamesNothing) {
  EXPECT_EQ(in_bus_order("2,0"), "gpu-2, gpu-0");
  EXPECT_EQ(in_bus_order(" 1 "), "gpu-1");
  EXPECT_EQ(in_bus_order("GPU-7777,1"), "gpu-2, gpu-1");
  EXPECT_EQ(in_bus_order("GPU-8f,1"), "none");  // two begin so
  EXPECT_EQ(in_bus_order("0,-1,1"), "gpu-0");
  EXPECT_EQ(in_bus_order("0,7,1"), "gpu-0");
  EXPECT_EQ(in_bus_order("0,GPU-none,1"), "gpu-0");
  EXPECT_EQ(in_bus_order("MIG-1234"), "MIG device MIG-1234");
  EXPECT_EQ(in_bus_order("MIG-GPU-8f2c0000-2/1/0"), "a MIG device of gpu-1");
  for (const char* nothing : {"", "-1", "NoDevFiles", ",", "GPU-", "99999999999999999999999"})
    EXPECT_EQ(in_bus_order(nothing), "none") << nothing;
}

TEST(VisibleDevices, AnIndexIsDoubtfulWhereCudaMayCountOtherwise) {
  EXPECT_EQ(visible_devices_words("2", "", three),
            "gpu-2 (if CUDA counts as the driver does: CUDA_DEVICE_ORDER is not PCI_BUS_ID)");
  EXPECT_EQ(visible_devices_words("GPU-7777", "", three), "gpu-2");
  EXPECT_EQ(visible_devices_words("0", "FASTEST_FIRST", std::span(three).first(1)), "gpu-0");
}

TEST(VisibleDevices, AVariableIsFoundByItsWholeNameAndAnEmptyOneIsSet) {
  using namespace std::string_view_literals;
  constexpr auto environment = "XCUDA_VISIBLE_DEVICES=9\0CUDA_VISIBLE_DEVICES=\0A=1\0broken\0B=2=3"sv;
  EXPECT_NE(environment_value(environment, "CUDA_VISIBLE_DEVICES").data(), nullptr);
  EXPECT_EQ(environment_value(environment, "CUDA_VISIBLE_DEVICES"), "");
  EXPECT_EQ(environment_value(environment, "B"), "2=3");
  EXPECT_EQ(environment_value(environment, "broken").data(), nullptr);
  EXPECT_EQ(environment_value("", "A").data(), nullptr);
}

}  // namespace
}  // namespace prony
