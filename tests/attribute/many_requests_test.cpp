// What attribution holds of very many requests.
#include <gtest/gtest.h>
#include <malloc.h>

#include "rig.hpp"

namespace prony {
namespace {

using namespace rig;

// Bytes that are allocated now; nothing where another allocator took malloc's place (sanitizers).
std::optional<std::size_t> allocated() {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
  const struct mallinfo2 info = mallinfo2();
  if (info.arena > 0) return info.uordblks + info.hblkhd;
#endif
  return std::nullopt;
}

// Requests of 100 µs one after another, with prefill and decode: many between two updates of any sensor.
struct Crowd {
  static constexpr std::int64_t each = 100'000;
  std::size_t count;
  Recording run;
  std::vector<Tick> ticks;

  explicit Crowd(std::size_t requests) : count(requests) {
    const std::int64_t length = static_cast<std::int64_t>(requests) * each + 2 * second;
    Group group{GroupId{1}, "fast", Duration{5 * millisecond}, {}};
    std::vector<Source> sources;
    const Power power{{origin}, {40}}, cpus{{origin}, {0.8}};
    for (int i = 0; i < 2; ++i)
      run.add(group, sources, energy_counter(millisecond, "rapl.package-" + std::to_string(i) + ".energy"),
              counter_of(power, millisecond, 300'000));
    for (int i = 0; i < 10; ++i) {  // one tells what the target used, the others are not split by
      Channel cpu;
      cpu.name = i == 0 ? "target.cpu" : i == 1 ? "cpu.busy" : "count-" + std::to_string(i);
      cpu.measure = i < 2 ? Measure::cpu_time : Measure::count;
      cpu.kind = ChannelKind::counter;
      cpu.scope = i == 0 ? Scope::target : Scope::host;
      cpu.scale = 1e-9;
      run.add(group, sources, cpu,
              [cpus](std::int64_t t) { return Reading{static_cast<std::int64_t>(cpus.energy(t) * 1e9), Quality::ok}; });
    }
    run.groups = {group};
    run.spans.push_back(span(1, SpanKind::run, "run", origin + second, origin + length - second));
    std::uint64_t id = 2;
    for (std::size_t i = 0; i < requests; ++i) {
      const std::int64_t begin = origin + second + static_cast<std::int64_t>(i) * each;
      const std::uint64_t request = id++;
      run.spans.push_back(span(request, SpanKind::request, "r", begin, begin + each, 1));
      run.spans.push_back(span(id++, SpanKind::prefill, "", begin, begin + each / 4, request));
      run.spans.push_back(span(id++, SpanKind::decode, "", begin + each / 4, begin + each, request));
    }
    ticks = poll(sources, origin, origin + length, 5 * millisecond);
  }
  [[nodiscard]] Attribution folded() const {
    Attribution attribution(run.channels, run.groups, run.spans);
    for (const TickBlock& block : in_blocks(run.groups[0].id, ticks, 500)) attribution.push(block);
    return attribution;
  }
};

TEST(ManyRequests, AreHeldInFewBytesEachHoweverManyChannelsThereAre) {
  if (!allocated()) GTEST_SKIP() << "this allocator does not tell what is allocated";
  const Crowd crowd(20'000);
  const std::size_t before = *allocated();
  const Attribution attribution = crowd.folded();
  const double each = static_cast<double>(*allocated() - before) / static_cast<double>(crowd.count);
  // Three spans of some 140 bytes; of each energy channel three edges of 70 or so. Whole points of every channel and
  // the updates around each of them were 8 kB.
  EXPECT_LT(each, 1200);
}

TEST(ManyRequests, TheLastLedgerOfThemIsThatOfAnyOtherAsking) {
  const Crowd crowd(300);
  Attribution attribution = crowd.folded();
  const Ledger once = attribution.finish();
  const Ledger last = attribution.end();
  ASSERT_EQ(once.charges.size(), last.charges.size());
  ASSERT_GT(once.charges.size(), 600u);
  for (std::size_t i = 0; i < once.charges.size(); ++i) {
    EXPECT_EQ(once.charges[i].joules.value, last.charges[i].joules.value);
    EXPECT_EQ(once.charges[i].joules.low, last.charges[i].joules.low);
    EXPECT_EQ(once.charges[i].joules.high, last.charges[i].joules.high);
    EXPECT_EQ(once.charges[i].method, last.charges[i].method);
  }
  ASSERT_EQ(once.spans.size(), last.spans.size());
  for (std::size_t i = 0; i < once.spans.size(); ++i) {
    ASSERT_EQ(once.spans[i].gross.has_value(), last.spans[i].gross.has_value());
    if (once.spans[i].gross) {
      EXPECT_EQ(once.spans[i].gross->value, last.spans[i].gross->value);
    }
  }
}

}  // namespace
}  // namespace prony
