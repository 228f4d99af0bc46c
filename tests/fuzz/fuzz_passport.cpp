// parts: passport
// A stored file of passports may be damaged or made by anybody: it is refused or read, and what is read can be written,
// read again and used without a period of nothing.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "passport/store.hpp"
#include "passport/use.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto machine = prony::passport::from_text({reinterpret_cast<const char*>(data), size});
  if (!machine) return 0;
  const auto again = prony::passport::from_text(prony::passport::to_text(*machine));
  if (!again || again->channels.size() > machine->channels.size()) std::abort();
  std::vector<prony::Channel> channels;
  for (const auto& passport : machine->channels) {
    if (passport.update_period && passport.update_period->ns <= 0) std::abort();
    prony::Channel channel;
    channel.name = passport.channel;
    channel.measure = prony::Measure::power;
    channels.push_back(channel);
  }
  (void)prony::passport::fill_channels(channels, *machine);
  (void)prony::passport::find_drift(*machine, again->channels);
  return 0;
}
