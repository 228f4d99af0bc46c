// Devices and programs of a machine: live ones on what this machine has, captured and simulated ones as made.
#include <asm/termbits.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "../support/scratch.hpp"
#include "machine/machine.hpp"
#include "machine/simulated.hpp"

namespace prony {
namespace {

using Words = std::vector<std::string>;

TEST(LiveProgram, WhatItPrintedAndHowItEndedAreKept) {
  const auto output =
      make_live_machine()->run_program(Words{"sh", "-c", "echo out; echo err >&2; exit 3"}, milliseconds(10'000));
  ASSERT_TRUE(output) << output.error().what;
  EXPECT_EQ(output->out, "out\n");
  EXPECT_EQ(output->err, "err\n");
  EXPECT_EQ(output->exit_code, 3);
}

TEST(LiveProgram, OneThatReadsFindsNoTerminalToWaitFor) {
  const auto output = make_live_machine()->run_program(Words{"cat"}, milliseconds(10'000));
  ASSERT_TRUE(output) << output.error().what;
  EXPECT_EQ(output->out, "");
}

TEST(LiveProgram, OneThatHangsIsKilledAndSaidToHaveHung) {
  const auto output = make_live_machine()->run_program(Words{"sleep", "1000"}, milliseconds(50));
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, ErrorCode::transient);
  EXPECT_EQ(output.error().what, "did not end within 50 ms and was killed");
}

TEST(LiveProgram, OneThatFloodsIsReadToItsEndAndItsFirst64KibAreKept) {
  const auto output = make_live_machine()->run_program(Words{"sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x"},
                                                       milliseconds(30'000));
  ASSERT_TRUE(output) << output.error().what;
  EXPECT_EQ(output->out, std::string(64 * 1024, 'x'));
  EXPECT_EQ(output->exit_code, 0);
}

TEST(LiveProgram, OneThatIsNotThereIsAbsent) {
  const auto output = make_live_machine()->run_program(Words{"no-such-program-of-anybody"}, milliseconds(1'000));
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, ErrorCode::absent);
}

TEST(LiveDevice, AControlIsAnsweredByTheDriverAndARefusalIsItsErrno) {
  const auto device = make_live_machine()->open_device("/dev/null");
  ASSERT_TRUE(device) << device.error().what;
  std::array<std::byte, 64> settings{};  // a terminal's: every emulator knows this one
  EXPECT_EQ((*device)->control(TCGETS, settings), -ENOTTY);
  EXPECT_TRUE((*device)->wait(milliseconds(1'000)));  // /dev/null always has its end to give
}

TEST(LiveDevice, OneThatIsNotThereIsAbsentAndAnotherMachinesIsUnavailable) {
  EXPECT_EQ(make_live_machine()->open_device("/dev/no-such-device").error().code, ErrorCode::absent);
  EXPECT_EQ(make_live_machine({"/tmp", "/proc"})->open_device("/dev/null").error().code, ErrorCode::unavailable);
  EXPECT_EQ(make_live_machine({"/tmp", "/proc"})->run_program(Words{"true"}, milliseconds(1'000)).error().code,
            ErrorCode::unavailable);
  EXPECT_EQ(make_captured_machine("/tmp")->open_device("/dev/null").error().code, ErrorCode::unavailable);
}

TEST(CapturedProgram, WhatWasRecordedIsGivenAndWhatWasNotIsUnavailable) {
  const ScratchFolder scratch("programs");
  std::filesystem::create_directories(scratch.file("programs"));
  std::ofstream(scratch.file("programs/vcgencmd_measure_volts_core")) << "volt=0.8563V\n";
  const auto machine = make_captured_machine(scratch.path());
  const auto output = machine->run_program(Words{"vcgencmd", "measure_volts", "core"}, milliseconds(1'000));
  ASSERT_TRUE(output);
  EXPECT_EQ(output->out, "volt=0.8563V");
  EXPECT_EQ(machine->run_program(Words{"vcgencmd", "measure_temp"}, milliseconds(1'000)).error().code,
            ErrorCode::unavailable);
  // No word leads out of the tree.
  EXPECT_EQ(captured_program_file(Words{"../../bin/x", "a b"}), "programs/.._.._bin_x_a_b");
}

TEST(SimulatedDevice, AnswersWithAFunctionUntilItFailsOrLeaves) {
  SimulatedMachine machine;
  machine.set_device("/dev/thing", [](unsigned long request, std::span<std::byte> data, Instant now) {
    data[0] = static_cast<std::byte>(request);
    data[1] = static_cast<std::byte>(now.ns);
    return 7;
  });
  machine.set_now({5});
  EXPECT_TRUE(machine.exists("/dev/thing"));
  const auto device = machine.open_device("/dev/thing");
  ASSERT_TRUE(device);
  std::array<std::byte, 2> data{};
  EXPECT_EQ((*device)->control(3, data), 7);
  EXPECT_EQ(data[0], std::byte{3});
  EXPECT_EQ(data[1], std::byte{5});
  machine.set_fault("/dev/thing", EBUSY);
  EXPECT_EQ((*device)->control(3, data), -EBUSY);
  machine.set_fault("/dev/thing", 0);
  machine.remove("/dev/thing");
  EXPECT_EQ((*device)->control(3, data), -ENODEV);
  EXPECT_FALSE((*device)->wait(milliseconds(1'000)));
  EXPECT_EQ(machine.open_device("/dev/thing").error().code, ErrorCode::absent);
}

}  // namespace
}  // namespace prony
