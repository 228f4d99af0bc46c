// Sensors that ask a device by controls, on the tick: a firmware and a BMC that take no memory themselves, so that what
// is counted is the sensor's.
#include <gtest/gtest.h>
#include <linux/ipmi.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <thread>
#include <vector>

#include "allocations.hpp"
#include "machine/simulated.hpp"
#include "sensors/rows.hpp"

namespace prony::test {
namespace {

int allocations_of_reads(Sensor& sensor) {
  std::vector<Reading> readings(sensor.channels().size());
  const int before = counted_allocations();
  std::thread([&] {
    count_allocations_of_this_thread();
    for (int tick = 0; tick < 100; ++tick) sensor.read(readings);
  }).join();
  return counted_allocations() - before;
}

// The value of the one tag: what is asked, and then its answer.
int answer(std::span<std::byte> data) {
  constexpr std::string_view rails = "VDD_CORE_A current(7)=1.0A\nVDD_CORE_V volt(15)=0.8V\n",
                             temperature = "temp=50.0'C";
  auto* const text = reinterpret_cast<char*>(&data[24]);
  const auto said = std::string_view(text) == "pmic_read_adc" ? rails : temperature;
  std::copy(said.begin(), said.end(), text);
  text[said.size()] = '\0';
  constexpr std::uint32_t success = 0x8000'0000;
  std::memcpy(&data[4], &success, sizeof success);
  return 0;
}

TEST(FirmwareAllocations, NoneWhileRailsAndConditionsAreReadNorWhileTheFirmwareIsSilent) {
  SimulatedMachine machine;
  machine.set_file("/sys/firmware/devicetree/base/model", "Raspberry Pi 5");
  machine.set_device("/dev/vcio_gencmd",
                     [](unsigned long, std::span<std::byte> data, Instant) { return answer(data); });
  const auto probe = make_raspberry(machine, {});
  ASSERT_NE(probe.sensor, nullptr);
  ASSERT_EQ(probe.more.size(), 1U);
  EXPECT_EQ(allocations_of_reads(*probe.sensor), 0);
  EXPECT_EQ(allocations_of_reads(*probe.more[0]), 0);
  machine.set_fault("/dev/vcio_gencmd", EIO);
  EXPECT_EQ(allocations_of_reads(*probe.sensor), 0);
  EXPECT_EQ(allocations_of_reads(*probe.more[0]), 0);
}

TEST(FirmwareAllocations, NoneWhileABmcIsReadNorWhileItRefuses) {
  SimulatedMachine machine;
  long question = 0;
  std::uint8_t code = 0;
  machine.set_device("/dev/ipmi0", [&](unsigned long request, std::span<std::byte> data, Instant) {
    if (request == IPMICTL_SEND_COMMAND) {
      ipmi_req sent{};
      std::memcpy(&sent, data.data(), sizeof sent);
      question = sent.msgid;
      return 0;
    }
    ipmi_recv received{};
    std::memcpy(&received, data.data(), sizeof received);
    const std::array<std::uint8_t, 19> bytes{code, 0xdc, 214, 0, 2, 0, 250, 0, 184, 0, 0, 0, 0, 0, 0xe8, 3, 0, 0, 0x40};
    std::copy(bytes.begin(), bytes.end(), received.msg.data);
    received.msg.data_len = bytes.size();
    received.msgid = question;
    received.recv_type = IPMI_RESPONSE_RECV_TYPE;
    std::memcpy(data.data(), &received, sizeof received);
    return 0;
  });
  const auto probe = make_ipmi(machine, {});
  ASSERT_NE(probe.sensor, nullptr);
  EXPECT_EQ(allocations_of_reads(*probe.sensor), 0);
  code = 0xc0;
  EXPECT_EQ(allocations_of_reads(*probe.sensor), 0);
}

}  // namespace
}  // namespace prony::test
