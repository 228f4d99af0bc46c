// ipmi: a BMC behind the kernel's device, as the driver answers it; ipmitool in its place; and BMCs that do not answer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/ipmi.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <vector>

#include "machine/simulated.hpp"
#include "seen.hpp"
#include "sensors/ipmi_dcmi.hpp"
#include "sensors/rows.hpp"

namespace prony {
namespace {

using Bytes = std::vector<std::uint8_t>;

// DCMI 1.5 §6.6.1: 214 W now, 2 to 468 W, 184 W on average over 1000 ms, active.
Bytes reading(std::uint16_t watts, std::uint32_t period_ms = 1000, bool active = true) {
  Bytes bytes{0x00,
              0xdc,
              0,
              0,
              2,
              0,
              0xd4,
              0x01,
              184,
              0,
              0x10,
              0x20,
              0x30,
              0x40,
              0,
              0,
              0,
              0,
              static_cast<std::uint8_t>(active ? 0x40 : 0)};
  std::memcpy(&bytes[2], &watts, 2);
  std::memcpy(&bytes[14], &period_ms, 4);
  return bytes;
}

class Ipmi : public ::testing::Test {
 protected:
  // A driver that queues what `answers` gives for each question.
  void device(const std::string& path = "/dev/ipmi0") {
    machine.set_device(
        path,
        [this](unsigned long request, std::span<std::byte> data, Instant) {
          return request == IPMICTL_SEND_COMMAND        ? take(data)
                 : request == IPMICTL_RECEIVE_MSG_TRUNC ? give(data)
                                                        : -ENOTTY;
        },
        [this](Instant) { return queue.empty(); });
  }
  int take(std::span<std::byte> data) {
    ipmi_req request{};
    if (data.size() != sizeof request) return -EFAULT;
    std::memcpy(&request, data.data(), sizeof request);
    asked.assign(request.msg.data, request.msg.data + request.msg.data_len);
    network_function = request.msg.netfn;
    command = request.msg.cmd;
    ipmi_system_interface_addr to{};
    std::memcpy(&to, request.addr, sizeof to);
    if (to.addr_type != IPMI_SYSTEM_INTERFACE_ADDR_TYPE || to.channel != IPMI_BMC_CHANNEL) return -EINVAL;
    if (send_error != 0) return -send_error;
    if (answer) queue.push_back({request.msgid, *answer});
    return 0;
  }
  int give(std::span<std::byte> data) {
    if (queue.empty()) return -EAGAIN;
    ipmi_recv received{};
    std::memcpy(&received, data.data(), sizeof received);
    const auto [id, bytes] = queue.front();
    queue.pop_front();
    std::copy_n(bytes.begin(), std::min<std::size_t>(bytes.size(), received.msg.data_len), received.msg.data);
    received.msg.data_len = static_cast<unsigned short>(bytes.size());
    received.msgid = id;
    received.recv_type = IPMI_RESPONSE_RECV_TYPE;
    std::memcpy(data.data(), &received, sizeof received);
    return 0;
  }
  std::string why(Sensor& sensor) {
    Reading out;
    sensor.read({&out, 1});
    if (out.quality == Quality::ok) return std::to_string(out.raw);
    const auto complaints = sensor.complaints();
    return complaints.empty() ? "no reason" : complaints[0].reason;
  }

  SimulatedMachine machine;
  std::optional<Bytes> answer = reading(214);
  std::deque<std::pair<long, Bytes>> queue;
  Bytes asked;
  int network_function = 0, command = 0, send_error = 0;
};

// Kills: bytes of the minimum or the average taken for the current power, big end first, a group left out.
TEST_F(Ipmi, TheDeviceIsAskedForThePowerAndTellsWattsOfTheWholeMachine) {
  device();
  const auto probe = make_ipmi(machine, {});
  ASSERT_NE(probe.sensor, nullptr);
  EXPECT_EQ(asked, (Bytes{0xdc, 0x01, 0x00, 0x00}));
  EXPECT_EQ(network_function, 0x2c);
  EXPECT_EQ(command, 0x02);
  EXPECT_THAT(seen(probe), ::testing::ElementsAre("ipmi.wall.power=214"));
  const Channel& channel = probe.sensor->channels()[0];
  EXPECT_EQ(channel.domain, "wall");
  EXPECT_FALSE(channel.coverage_known);  // it contains every other domain: added to none
  EXPECT_EQ(channel.averaging_window, milliseconds(1000));
  EXPECT_EQ(probe.sensor->lane(), LaneKind::blocking);
  answer = reading(300);
  EXPECT_THAT(seen(probe), ::testing::ElementsAre("ipmi.wall.power=300"));
}

TEST_F(Ipmi, APeriodThatIsNoAveragingOfAReadingIsNotTakenForOne) {
  device();
  answer = reading(214, 86'400'000);
  const auto probe = make_ipmi(machine, {});
  EXPECT_EQ(probe.sensor->channels()[0].averaging_window.ns, 0);
  ASSERT_EQ(probe.notes.size(), 1U);
  EXPECT_NE(probe.notes[0].reason.find("over 86400000 ms"), std::string::npos);
}

// Kills: the answer to a question that was given up, told as the answer to this one.
TEST_F(Ipmi, AnOldAnswerIsPassedOver) {
  device();
  const auto probe = make_ipmi(machine, {});
  queue.push_back({1, reading(999)});
  EXPECT_EQ(why(*probe.sensor), "214");
}

TEST_F(Ipmi, EachFaultIsToldInWordsAndTheNextReadingIsTaken) {
  device();
  const auto probe = make_ipmi(machine, {});
  ASSERT_NE(probe.sensor, nullptr);
  answer = Bytes{0xc0, 0xdc};
  EXPECT_EQ(why(*probe.sensor), "/dev/ipmi0: the BMC is busy");
  answer = Bytes{0xc1};
  EXPECT_EQ(why(*probe.sensor), "/dev/ipmi0: the BMC does not know the command: it has no DCMI");
  answer = Bytes{0x97};
  EXPECT_EQ(why(*probe.sensor), "/dev/ipmi0: the BMC refused with completion code 0x97");
  answer = Bytes{};
  EXPECT_EQ(why(*probe.sensor), "/dev/ipmi0: the BMC's answer is not one to this question");
  answer = reading(214);
  answer->resize(10);
  EXPECT_EQ(why(*probe.sensor), "/dev/ipmi0: the BMC's answer is not one to this question");
  answer = reading(0, 1000, false);
  EXPECT_EQ(why(*probe.sensor), "/dev/ipmi0: the BMC does not measure power now (its measurement is off)");
  answer = std::nullopt;
  EXPECT_EQ(why(*probe.sensor), "/dev/ipmi0: the BMC gave no answer within 2000 ms");
  send_error = EBUSY;
  EXPECT_EQ(why(*probe.sensor), "/dev/ipmi0: cannot ask the BMC: Device or resource busy");
  send_error = 0;
  answer = reading(215);
  EXPECT_EQ(why(*probe.sensor), "215");
}

TEST_F(Ipmi, ABmcWithoutDcmiIsNoSensorAndSaysWhatElseThereIs) {
  device("/dev/ipmi/0");
  answer = Bytes{0xc1};
  const auto probe = make_ipmi(machine, {});
  EXPECT_EQ(probe.sensor, nullptr);
  ASSERT_EQ(probe.unavailable.size(), 1U);
  EXPECT_EQ(probe.unavailable[0].reason, "/dev/ipmi/0: the BMC does not know the command: it has no DCMI");
  EXPECT_EQ(probe.unavailable[0].remedy, "Redfish, or a meter at the plug, where the BMC has no DCMI");
}

TEST_F(Ipmi, WhereNobodyMayOpenTheDeviceIpmitoolIsRunOffTheTick) {
  device();
  machine.set_fault("/dev/ipmi0", EACCES);
  std::string printed =
      "\n    Instantaneous power reading:                   220 Watts\n"
      "    Minimum during sampling period:                 55 Watts\n"
      "    Maximum during sampling period:                322 Watts\n"
      "    Average power reading over sample period:      182 Watts\n"
      "    IPMI timestamp:                           Thu Feb 15 09:37:32 2024\n"
      "    Sampling period:                          00000005 Seconds.\n"
      "    Power reading state is:                   activated\n\n";
  int runs = 0;
  machine.set_program("ipmitool", [&](std::span<const std::string>, Instant) -> Result<ProgramOutput> {
    ++runs;
    if (printed.empty()) return ProgramOutput{"", "Could not open device at /dev/ipmi0\nor", 1};
    return ProgramOutput{printed, "", 0};
  });
  const auto probe = make_ipmi(machine, {});
  ASSERT_NE(probe.sensor, nullptr);
  EXPECT_EQ(probe.sensor->channels()[0].device, "ipmitool");
  EXPECT_EQ(probe.sensor->channels()[0].averaging_window, milliseconds(5000));
  EXPECT_EQ(why(*probe.sensor), "220");
  EXPECT_EQ(runs, 1);  // never on the tick
  printed.clear();
  (void)probe.sensor->changes();
  EXPECT_EQ(runs, 2);
  machine.advance(milliseconds(10'001));
  EXPECT_EQ(why(*probe.sensor).substr(0, 60), "ipmitool: told no power, exit code 1: Could not open device ");
}

TEST_F(Ipmi, AMachineWithoutABmcSaysSoAndOneThatForbidsSaysThat) {
  auto probe = make_ipmi(machine, {});
  ASSERT_EQ(probe.unavailable.size(), 1U);
  EXPECT_EQ(probe.unavailable[0].reason,
            "no BMC that the kernel knows: /dev/ipmi0 is not there (on a server with one: sudo modprobe ipmi_devintf "
            "ipmi_si)");
  EXPECT_TRUE(probe.unavailable[0].remedy.empty());
  device();
  machine.set_fault("/dev/ipmi0", EACCES);
  probe = make_ipmi(machine, {});
  EXPECT_FALSE(probe.unavailable[0].remedy.empty());
  EXPECT_EQ(probe.unavailable[0].reason, "/dev/ipmi0: cannot open: Permission denied");
}

TEST(IpmiText, NewerAndOlderProgramsAndOnesWithoutPower) {
  const auto newer =
      dcmi_power(std::string_view("Instantaneous power reading              : 214      Watts\n"
                                  "Average power reading over sample period : 184      Watts\n"
                                  "Sampling period                          : 1000 Milliseconds\n"
                                  "Power reading state is                   : deactivated\n"));
  ASSERT_TRUE(newer);
  EXPECT_EQ(newer->now_w, 214U);
  EXPECT_EQ(newer->average_w, 184U);
  EXPECT_EQ(newer->period_ms, 1000U);
  EXPECT_FALSE(newer->active);
  for (const char* text :
       {"", "DCMI request failed because: Invalid command (c1)", "Instantaneous power reading: 12 Volts",
        "Instantaneous power reading: -5 Watts", "Instantaneous power reading: 99999999999 Watts"})
    EXPECT_FALSE(dcmi_power(std::string_view(text))) << text;
}

}  // namespace
}  // namespace prony
