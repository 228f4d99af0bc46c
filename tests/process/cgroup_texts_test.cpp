#include "process/cgroup_texts.hpp"

#include <gtest/gtest.h>

namespace prony {
namespace {

// Kills: "usage_usec" found inside another field's name, a number cut in the middle, and microseconds below zero.
TEST(CgroupTexts, CpuTimesStandBehindTheirWholeNames) {
  const auto stat = parse_cgroup_cpu_stat("nice_usec 7\nusage_usec 30\nuser_usec 10\nsystem_usec 20\nx_usage_usec 9\n");
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->usage_us, 30);
  EXPECT_EQ(stat->user_us, 10);
  EXPECT_EQ(stat->system_us, 20);
  EXPECT_FALSE(parse_cgroup_cpu_stat("x_usage_usec 30\nuser_usec 10\nsystem_usec 20\n"));
  for (const std::string usage : {"-30", "30x", "", "99999999999999999999", "nan", "1e3"})
    EXPECT_FALSE(parse_cgroup_cpu_stat("usage_usec " + usage + "\nuser_usec 1\nsystem_usec 2\n")) << usage;
}

// Kills: a folder with a blank that is looked for under its escape, another group's mount, an optional field taken for
// the mount point.
TEST(CgroupTexts, TheMountPointIsTheOneOfTheRootWithItsEscapesUndone) {
  EXPECT_EQ(cgroup2_mount_point("25 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
                                "30 25 0:26 /docker/5 /sub rw - cgroup2 cgroup2 rw\n"
                                "31 25 0:26 / /my\\040groups rw,nosuid shared:9 - cgroup2 cgroup2 rw\n"),
            "/my groups");
  EXPECT_EQ(cgroup2_mount_point("31 25 0:26 / /a\\9b\\04 rw - cgroup2 x rw"), "/a\\9b\\04");
  for (const char* text : {"", " - cgroup2 ", "1 2 3 / - cgroup2 ", "1 2 3 / relative - cgroup2 x", "\n\n - \n"})
    EXPECT_FALSE(cgroup2_mount_point(text)) << text;
}

TEST(CgroupTexts, OurOwnGroupIsTheUnifiedOne) {
  EXPECT_EQ(own_cgroup2_path("12:cpu:/x\n0::/user.slice/a b\n").value(), "/user.slice/a b");
  EXPECT_EQ(own_cgroup2_path("0::/\n").value(), "");
  EXPECT_EQ(own_cgroup2_path("0::/../other\n").error().code, ErrorCode::unavailable);
  EXPECT_EQ(own_cgroup2_path("0::/gone (deleted)\n").error().code, ErrorCode::unavailable);
  EXPECT_EQ(own_cgroup2_path("12:cpu:/x\n").error().code, ErrorCode::absent);
  EXPECT_EQ(own_cgroup2_path("").error().code, ErrorCode::absent);
}

// Kills: a controller found inside another's name, a container's own path looked for below itself, and the group of a
// hierarchy that is not mounted here.
TEST(CgroupTexts, TheMemoryGroupOfVersion1IsWhereItsHierarchyIsMounted) {
  const std::string mounts =
      "34 31 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
      "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n";
  EXPECT_EQ(memory_group_v1(mounts, "5:cpu,memory_x:/no\n4:hugetlb,memory:/a/b:c\n"), "/sys/fs/cgroup/memory/a/b:c");
  EXPECT_EQ(memory_group_v1(mounts, "4:memory:/\n"), "/sys/fs/cgroup/memory");
  const std::string container = "35 31 0:32 /docker/5 /my\\040groups rw - cgroup cgroup rw,memory\n";
  EXPECT_EQ(memory_group_v1(container, "4:memory:/docker/5/x\n"), "/my groups/x");
  EXPECT_EQ(memory_group_v1(container, "4:memory:/docker/5\n"), "/my groups");
  for (const char* own :
       {"4:memory:/docker/55\n", "4:memory:/\n", "4:memory:/../x\n", "0::/docker/5\n", "4:memory", ""})
    EXPECT_FALSE(memory_group_v1(container, own)) << own;
  EXPECT_FALSE(memory_group_v1("31 23 0:28 / /g rw - cgroup2 cgroup2 rw,memory\n - cgroup \n", "4:memory:/\n"));
}

}  // namespace
}  // namespace prony
