// The record that `prony setup NAME --undo` goes by, as root: one that was damaged or made by somebody else may do
// nothing that it does not say.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "app/setup_apply.hpp"

namespace prony::app {
namespace {

class SetupRecord : public ::testing::Test {
 protected:
  SetupRecord() { std::filesystem::create_directories(root_ + "/var/lib/prony"); }
  ~SetupRecord() override { std::filesystem::remove_all(root_); }
  Result<std::vector<SetupStep>> read(const std::string& text) {
    std::ofstream(root_ + "/var/lib/prony/setup-rapl.json") << text;
    return recorded_setup(root_, "rapl");
  }
  Result<std::vector<SetupStep>> read_step(const std::string& step) {
    return read(R"({"schema": 1, "steps": [)" + step + "]}");
  }
  std::string root_ =
      std::filesystem::temp_directory_path().string() + "/prony-setup-record-" + std::to_string(::getpid());
};

TEST_F(SetupRecord, OneThatIsWholeIsRead) {
  EXPECT_EQ(read_step(R"({"kind": "mode", "path": "/sys/x", "before": "0400 root", "after": "0440 prony"})")->size(),
            1u);
  EXPECT_EQ(read_step(R"({"kind": "command", "undo": ["/usr/sbin/groupdel", "prony"]})")->size(), 1u);
}

// Bug: permissions that cannot be read are taken for 0000, and nobody can read the file any more.
TEST_F(SetupRecord, PermissionsThatAreNotWholeAreRefused) {
  for (const std::string before : {"", "0400", "04x0 root", "400 root", "0400 ", "9400 root", "0400root"})
    EXPECT_FALSE(read_step(R"({"kind": "mode", "path": "/sys/x", "after": "0440 prony", "before": ")" + before + "\"}"))
        << before;
}

// Bug: what is said on the screen is not what is touched.
TEST_F(SetupRecord, APathThatLeadsElsewhereIsRefused) {
  for (const std::string path : {"etc/x", "/../etc/x", "/sys/../etc/x", "/sys/..", "/sys/x\\u0000y", ""}) {
    EXPECT_FALSE(read_step(R"({"kind": "file", "path": ")" + path + "\"}")) << path;
    EXPECT_FALSE(read_step(R"({"kind": "command", "undo": [")" + path + "\"]}")) << path;
  }
}

TEST_F(SetupRecord, OneOfANewerPronyIsNotUndoneByThisOne) {
  for (const std::string schema : {R"("schema": 2, )", ""}) {
    const auto steps = read("{" + schema + R"("steps": []})");
    ASSERT_FALSE(steps) << schema;
    EXPECT_EQ(steps.error().code, ErrorCode::unavailable);
    EXPECT_NE(steps.error().fix.find("Nothing was undone"), std::string::npos);
  }
}

}  // namespace
}  // namespace prony::app
