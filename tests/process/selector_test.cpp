// What the user writes, and what the kernel writes about groups and sockets, as text.
#include "process/selector.hpp"

#include <gtest/gtest.h>

#include "process/cgroup_names.hpp"
#include "process/socket_owners.hpp"

namespace prony {
namespace {

TEST(Selector, AValueMayHaveANameAndAPathMayHoldAnEqualsSign) {
  const auto named = parse_target_choice(SelectorKind::port, "ollama=11434");
  ASSERT_TRUE(named);
  EXPECT_EQ(named->name, "ollama");
  EXPECT_EQ(named->value, "11434");
  EXPECT_EQ(selector_text(*named), "--port ollama=11434");
  const auto bare = parse_target_choice(SelectorKind::port, "8080");
  ASSERT_TRUE(bare);
  EXPECT_EQ(bare->name, "port-8080");
  EXPECT_EQ(selector_text(*bare), "--port 8080");
  const auto path = parse_target_choice(SelectorKind::cgroup, "/system.slice/a=b");
  ASSERT_TRUE(path);
  EXPECT_EQ(path->value, "/system.slice/a=b");
  EXPECT_EQ(path->name, "a_b");
  EXPECT_EQ(parse_target_choice(SelectorKind::unit, "ollama.service")->name, "ollama");
  EXPECT_EQ(parse_target_choice(SelectorKind::all, "")->name, "all");
  EXPECT_EQ(selector_text(*parse_target_choice(SelectorKind::all, "")), "--all");
}

TEST(Selector, WhatCannotBeLookedForIsRefusedWithWhatTheOptionWants) {
  for (const auto& [kind, text] :
       std::vector<std::pair<SelectorKind, std::string>>{{SelectorKind::pid, ""},
                                                         {SelectorKind::pid, "0"},
                                                         {SelectorKind::pid, "-3"},
                                                         {SelectorKind::pid, "abc"},
                                                         {SelectorKind::port, "65536"},
                                                         {SelectorKind::port, "web=0"},
                                                         {SelectorKind::comm, "a b="},
                                                         {SelectorKind::comm, "=x"},
                                                         {SelectorKind::user, "bad/name=x"},
                                                         {SelectorKind::all, "a b"},
                                                         {SelectorKind::pid, "99999999999999999999"}}) {
    const auto parsed = parse_target_choice(kind, text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::usage);
    EXPECT_EQ(parsed.error().where, "--" + std::string(to_string(kind)));
    EXPECT_FALSE(parsed.error().fix.empty());
  }
}

TEST(Selector, NamesAreMadeUniqueAndTwoThatTheUserGaveAreRefused) {
  std::vector<TargetChoice> choices = {*parse_target_choice(SelectorKind::comm, "web"),
                                       *parse_target_choice(SelectorKind::unit, "web"),
                                       *parse_target_choice(SelectorKind::comm, "command")};
  const auto targets = name_targets(choices);
  ASSERT_TRUE(targets);
  EXPECT_EQ((*targets)[0].name, "web-2");
  EXPECT_EQ((*targets)[1].name, "web");
  EXPECT_EQ((*targets)[2].name, "command-2");
  choices = {*parse_target_choice(SelectorKind::comm, "a=x"), *parse_target_choice(SelectorKind::comm, "a=y")};
  EXPECT_FALSE(name_targets(choices));
  choices = {*parse_target_choice(SelectorKind::comm, "command=x")};
  EXPECT_FALSE(name_targets(choices));
  choices.assign(65, *parse_target_choice(SelectorKind::all, ""));
  EXPECT_FALSE(name_targets(choices));
}

// Bug: one engine's way of naming its groups is not known, or the monitor beside a container is taken for it.
TEST(CgroupNames, EveryEnginesContainersAreFound) {
  const std::string id(64, '7');
  using Ids = std::vector<std::string_view>;
  for (const std::string& path :
       {"/system.slice/docker-" + id + ".scope", "/docker/" + id, "/docker/" + id + "/init.scope",
        "/machine.slice/libpod-" + id + ".scope/container",
        "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + id + ".scope",
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-" + id + ".scope",
        "/kubepods/besteffort/pod12345678-1234-1234-1234-123456789012/" + id, "/kubepods.slice/x/crio-" + id + ".scope",
        "/default/" + id, "/k8s.io/" + id})
    EXPECT_EQ(containers_of_cgroup(path), Ids{id}) << path;
  for (const std::string& path : {"/machine.slice/libpod-conmon-" + id + ".scope", std::string("/"), std::string(),
                                  "/crio-conmon-" + id + ".scope", std::string("/docker/buildx"), "/user.slice/" + id})
    EXPECT_EQ(containers_of_cgroup(path), Ids{}) << path;
  EXPECT_EQ(containers_of_cgroup("/lxc.payload.web/init"), Ids{"web"});
  EXPECT_EQ(containers_of_cgroup("/docker/" + id + "/docker/" + std::string(64, '8')).size(), 2U);
}

TEST(CgroupNames, APodsUidIsReadInBothWaysOfWritingIt) {
  const std::string uid = "12345678-1234-1234-1234-123456789012";
  EXPECT_EQ(pod_of_cgroup("/kubepods/besteffort/pod" + uid + "/abc"), uid);
  EXPECT_EQ(pod_of_cgroup("/kubepods.slice/kubepods-burstable.slice/"
                          "kubepods-burstable-pod12345678_1234_1234_1234_123456789012.slice/x.scope"),
            uid);
  EXPECT_EQ(pod_of_cgroup("/user.slice/podman-42.scope"), "");
}

// Whether `path` lies in `wanted`, by `lies_in`.
struct Place {
  std::string_view path, wanted;
  bool inside;
};
template <class LiesIn>
void expect_places(LiesIn lies_in, std::initializer_list<Place> places) {
  for (const Place& place : places)
    EXPECT_EQ(lies_in(place.path, place.wanted), place.inside) << place.path << " in " << place.wanted;
}

// Bug: "/a" names "/ab" too.
TEST(CgroupNames, AGroupHoldsWhatLiesBelowItAndNotItsNamesakes) {
  expect_places(lies_in_cgroup, {{"/a/b", "/a", true},
                                 {"/a", "/a/", true},
                                 {"/anything", "/", true},
                                 {"/ab", "/a", false},
                                 {"/", "/a", false},
                                 {"/a/b", "/sys/fs/cgroup/a", true},
                                 {"/a/b", "/sys/fs/cgroup/unified/a", true},
                                 {"/c", "/sys/fs/cgroup/unified/a", false}});
}

TEST(CgroupNames, AUnitIsFoundWithOrWithoutItsSuffixAndATemplateByItsInstances) {
  expect_places(lies_in_unit, {{"/system.slice/ollama.service", "ollama", true},
                               {"/system.slice/ollama.service/sub", "ollama.service", true},
                               {"/user.slice/user-1.slice/user@1.service/app.slice/x.service", "x", true},
                               {"/system.slice/system-worker.slice/worker@3.service", "worker@", true},
                               {"/system.slice/system-worker.slice/worker@3.service", "worker@3", true},
                               {"/user.slice/session-2.scope", "session-2.scope", true},
                               {"/system.slice/ollama2.service", "ollama", false},
                               {"/ollama/x.service", "ollama", false},
                               {"/system.slice/worker@3.service", "worker", false}});
}

// Bug: a connection from or to the port is taken for a listener; the port is compared as text or in the wrong base.
TEST(SocketOwners, OnlySocketsThatWaitOnThePortCount) {
  const std::string tcp =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
      "   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 11 1 0000 100 0 0\n"
      "   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 12 1 0000 100 0 0\n"
      "   2: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 13 1 0000 100 0 0\n"
      "   3: 00000000:8080 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 14 1 0000 100 0 0\n"
      "   4: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 15 1\n"
      "   5: cut off";
  std::vector<std::uint64_t> inodes;
  append_listeners(tcp, false, 8080, inodes);
  EXPECT_EQ(inodes, (std::vector<std::uint64_t>{11, 15}));
  inodes.clear();
  append_listeners("  1: 00000000:1F90 00000000:0000 07 0:0 0:0 0 0 0 21 2\n", true, 8080, inodes);
  append_listeners("  1: 00000000:1F90 0100007F:0035 01 0:0 0:0 0 0 0 22 2\n", true, 8080, inodes);
  EXPECT_EQ(inodes, std::vector<std::uint64_t>{21});
}

}  // namespace
}  // namespace prony
