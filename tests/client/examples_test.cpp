// The examples are what people copy: they are built against the real libprony and run, and their spans are read back.
#include <gtest/gtest.h>

#include <cstdio>
#include <map>

#include "../support/scratch.hpp"
#include "ring_file.hpp"

namespace prony::test {
namespace {

struct Output {
  int status = -1;
  std::string text;
};

Output shell(const std::string& command) {
  Output out;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return out;
  char buffer[4096];
  for (std::size_t got = 0; (got = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.text.append(buffer, got);
  out.status = pclose(pipe);
  return out;
}

const std::string source = PRONY_SOURCE_DIR;

// Builds libprony.so in a folder of its own, as a user's system would have it.
class Examples : public testing::Test {
 protected:
  void SetUp() override {
    if (shell("c++ --version && cc --version").status != 0) GTEST_SKIP() << "no compiler named c++ and cc here";
    folder_ = scratch_.path();
    const Output built =
        shell("c++ -std=c++20 -O1 -shared -fPIC -fvisibility=hidden -Wl,--as-needed -I" + source + "/src -I" + source +
              "/include " + source + "/src/client/*.cpp -Wl,-soname,libprony.so.1 -o " + folder_ +
              "/libprony.so.1 && ln -s libprony.so.1 " + folder_ + "/libprony.so");
    ASSERT_EQ(built.status, 0) << built.text;
  }
  [[nodiscard]] std::string links() const {
    return " -I" + source + "/include -L" + folder_ + " -Wl,-rpath," + folder_ + " ";
  }
  [[nodiscard]] Output run(const RingFile& file, const std::string& program) const {
    return shell("PRONY_SPANS=" + file.path() + " LIBPRONY=" + folder_ + "/libprony.so.1 " + program);
  }
  ScratchFolder scratch_{"examples"};
  std::string folder_;
};

std::map<std::string, int> begun(const std::vector<Record>& records) {
  std::map<std::string, int> out;
  for (const auto& r : records) {
    if (r.type == ring::SlotType::begin) ++out[r.text];
  }
  return out;
}

// Kills: a C++ run-time library that slips in as a dependency of other people's programs.
TEST_F(Examples, LibpronyNeedsTheCLibraryOnlyAndShowsItsOwnNamesOnly) {
  const Output needed = shell("readelf -d " + folder_ + "/libprony.so.1 | grep NEEDED");
  EXPECT_EQ(needed.text.find("stdc++"), std::string::npos) << needed.text;
  EXPECT_NE(needed.text.find("libc.so"), std::string::npos) << needed.text;
  EXPECT_EQ(shell("nm -D --defined-only " + folder_ + "/libprony.so.1 | grep -v ' prony_'").text, "");
}

TEST_F(Examples, TheOneInCWritesItsSpans) {
  const Output built = shell("cc -std=c99 -Wall -Wextra -Werror -pedantic " + source + "/examples/spans.c" + links() +
                             "-lprony -o " + folder_ + "/c");
  ASSERT_EQ(built.status, 0) << built.text;
  RingFile file;
  const Output ran = run(file, folder_ + "/c");
  EXPECT_EQ(ran.status, 0);
  const auto records = file.drain();
  EXPECT_EQ(begun(records),
            (std::map<std::string, int>{{"load", 1}, {"request-1", 1}, {"request-2", 1}, {"request-3", 1}, {"", 3}}));
  EXPECT_EQ(records.size(), 7U + 7U + 3U + 3U);
  EXPECT_EQ(shell(folder_ + "/c").text, ran.text) << "and does the same where nobody records";
  const Output warned = shell("PRONY_SPANS=/dev/null " + folder_ + "/c");
  EXPECT_EQ(warned.status, 0);
  EXPECT_NE(warned.text.find("errno 22"), std::string::npos) << warned.text;
}

TEST_F(Examples, TheOneInCppEndsSpansWithTheirScopes) {
  const Output built = shell("c++ -std=c++17 -Wall -Wextra -Werror " + source + "/examples/spans.cpp" + links() +
                             "-lprony -lpthread -o " + folder_ + "/cpp");
  ASSERT_EQ(built.status, 0) << built.text;
  RingFile file;
  EXPECT_EQ(run(file, folder_ + "/cpp").status, 0);
  const auto records = file.drain();
  EXPECT_EQ(begun(records),
            (std::map<std::string, int>{{"batch", 1}, {"request-1", 1}, {"request-2", 1}, {"request-3", 1}}));
  int failed = 0, ended = 0;
  for (const auto& r : records) {
    if (r.type == ring::SlotType::end) ++ended, failed += r.kind;
  }
  EXPECT_EQ(ended, 4);
  EXPECT_EQ(failed, 1);
  EXPECT_EQ(file.header().claimed.load(), 2U) << "one ring for each thread";
}

TEST_F(Examples, PythonNeedsNothingButCtypes) {
  if (shell("python3 --version").status != 0) GTEST_SKIP() << "no python3 here";
  RingFile file;
  const Output ran = run(file, "python3 " + source + "/examples/prony_ctypes.py");
  EXPECT_EQ(ran.status, 0) << ran.text;
  const auto records = file.drain();
  ASSERT_EQ(records.size(), 5U) << ran.text;
  EXPECT_EQ(records[0].text, "from Python");
  EXPECT_EQ(records[0].kind, 2);
  EXPECT_EQ(records[1].parent, records[0].span);
  EXPECT_EQ(records[2].span, records[1].span);
  EXPECT_EQ(records[3].text, "prompt_tokens");
  EXPECT_EQ(records[3].value, 3);
  EXPECT_EQ(records[4].kind, 0) << "ended well";
}

}  // namespace
}  // namespace prony::test
