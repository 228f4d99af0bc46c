// The C ABI of libprony-meter, held against tests/library/abi.txt: what programs were once built against must stay.
#include <gtest/gtest.h>
#include <prony/meter.h>

#include <cstddef>

#include "../support/abi.hpp"
#include "../support/emulated.hpp"

namespace prony::test {
namespace {

const std::string library = std::string(PRONY_BUILD_DIR) + "/libprony-meter.so.1";

struct Shape {
  std::vector<std::string> lines;
  void size(const char* name, std::size_t bytes) { lines.push_back(abi_line("sizeof", name, bytes)); }
  void member(const char* name, std::size_t offset) { lines.push_back(abi_line("offset", name, offset)); }
  void number(const char* name, int value) { lines.push_back(abi_line("enum", name, value)); }
};

void options_shape(Shape& shape) {
  using T = prony_meter_options;
  shape.size("prony_meter_options", sizeof(T));
  shape.member("prony_meter_options.mode", offsetof(T, mode));
  shape.member("prony_meter_options.flags", offsetof(T, flags));
  shape.member("prony_meter_options.out", offsetof(T, out));
  shape.member("prony_meter_options.name", offsetof(T, name));
  shape.member("prony_meter_options.sensors", offsetof(T, sensors));
  shape.member("prony_meter_options.simulate", offsetof(T, simulate));
  shape.member("prony_meter_options.interval_ns", offsetof(T, interval_ns));
  shape.member("prony_meter_options.baseline_ns", offsetof(T, baseline_ns));
  shape.member("prony_meter_options.pid", offsetof(T, pid));
  shape.member("prony_meter_options.program", offsetof(T, program));
}

void run_shape(Shape& shape) {
  shape.size("prony_channel", sizeof(prony_channel));
  shape.member("prony_channel.flags", offsetof(prony_channel, flags));
  shape.member("prony_channel.name", offsetof(prony_channel, name));
  shape.member("prony_channel.unit", offsetof(prony_channel, unit));
  shape.member("prony_channel.part_of", offsetof(prony_channel, part_of));
  shape.member("prony_channel.scale", offsetof(prony_channel, scale));
  shape.size("prony_span_record", sizeof(prony_span_record));
  shape.member("prony_span_record.kind", offsetof(prony_span_record, kind));
  shape.member("prony_span_record.id", offsetof(prony_span_record, id));
  shape.member("prony_span_record.begin_ns", offsetof(prony_span_record, begin_ns));
  shape.member("prony_span_record.name", offsetof(prony_span_record, name));
  shape.size("prony_joules", sizeof(prony_joules));
  shape.member("prony_joules.present", offsetof(prony_joules, present));
  shape.member("prony_joules.channel", offsetof(prony_joules, channel));
  shape.member("prony_joules.party", offsetof(prony_joules, party));
  shape.member("prony_joules.absent", offsetof(prony_joules, absent));
  shape.member("prony_joules.value_j", offsetof(prony_joules, value_j));
  shape.member("prony_joules.high_j", offsetof(prony_joules, high_j));
  shape.size("ArrowSchema", sizeof(ArrowSchema));
  shape.size("ArrowArray", sizeof(ArrowArray));
  shape.size("ArrowArrayStream", sizeof(ArrowArrayStream));
}

void numbers_shape(Shape& shape) {
  const int errors[] = {PRONY_ERROR_NONE,      PRONY_ERROR_ABSENT,    PRONY_ERROR_DENIED,      PRONY_ERROR_GONE,
                        PRONY_ERROR_TRANSIENT, PRONY_ERROR_MALFORMED, PRONY_ERROR_UNAVAILABLE, PRONY_ERROR_FULL,
                        PRONY_ERROR_USAGE,     PRONY_ERROR_STATE,     PRONY_ERROR_MEMORY,      PRONY_ERROR_INTERNAL};
  int expected = 0;
  for (const int error : errors) EXPECT_EQ(error, expected++);
  shape.number("PRONY_ERROR_INTERNAL", PRONY_ERROR_INTERNAL);
  shape.number("PRONY_METER_THREAD", PRONY_METER_THREAD), shape.number("PRONY_METER_PROCESS", PRONY_METER_PROCESS);
  shape.number("PRONY_METER_FORCE", PRONY_METER_FORCE);
  shape.number("PRONY_METER_ENVIRONMENT", PRONY_METER_ENVIRONMENT);
  shape.number("PRONY_METER_EVERY_CHANNEL", PRONY_METER_EVERY_CHANNEL);
  shape.number("PRONY_METER_KEPT_BASELINE", PRONY_METER_KEPT_BASELINE);
  shape.number("PRONY_METER_LEAVE_SPANS", PRONY_METER_LEAVE_SPANS);
  shape.number("PRONY_RUN_RECORDING", PRONY_RUN_RECORDING), shape.number("PRONY_RUN_COMPLETE", PRONY_RUN_COMPLETE);
  shape.number("PRONY_RUN_INTERRUPTED", PRONY_RUN_INTERRUPTED);
  shape.number("PRONY_CHANNEL_MEASURED", PRONY_CHANNEL_MEASURED);
  shape.number("PRONY_CHANNEL_ENERGY", PRONY_CHANNEL_ENERGY);
  shape.number("PRONY_METER_ABI_VERSION", static_cast<int>(prony_meter_abi_version()));
}

// Kills: a function that was renamed, lost its version, or a C++ name of ours that everybody can see.
TEST(AbiOfLibpronyMeter, ExportsWhatIsListedAndNothingElse) {
  if (emulated()) GTEST_SKIP() << "the nm here is of another kind of machine";
  if (printed_by("nm --version").find("nm") == std::string::npos) GTEST_SKIP() << "no nm here";
  std::vector<std::string> listed = listed_in(PRONY_SOURCE_DIR "/tests/library/abi.txt");
  std::erase_if(listed, [](const std::string& line) { return !line.starts_with("export "); });
  ASSERT_FALSE(listed.empty());
  EXPECT_EQ(exports_of(library), listed);
}

TEST(AbiOfLibpronyMeter, StructsAndEnumeratorsAreAsListed) {
  if (sizeof(void*) != 8) GTEST_SKIP() << "the list is of machines with 64-bit pointers";
  Shape shape;
  options_shape(shape);
  run_shape(shape);
  numbers_shape(shape);
  std::vector<std::string> listed = listed_in(PRONY_SOURCE_DIR "/tests/library/abi.txt");
  std::erase_if(listed, [](const std::string& line) { return line.starts_with("export "); });
  EXPECT_EQ(shape.lines, listed);
}

}  // namespace
}  // namespace prony::test
