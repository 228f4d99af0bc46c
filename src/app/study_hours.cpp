#include "app/study_hours.hpp"

#include <chrono>
#include <ctime>
#include <thread>

#include "app/common.hpp"

namespace prony::app {

namespace {

std::tm local_now(std::time_t now) {
  std::tm local{};
  (void)::localtime_r(&now, &local);
  return local;
}

void rest_a_little() { std::this_thread::sleep_for(std::chrono::milliseconds(200)); }

}  // namespace

void wait_for_hours(const study::Hours& hours, const std::atomic<int>& stop, const ShowLine& show) {
  bool told = false;
  while (stop.load() == 0) {
    const std::tm now = local_now(std::time(nullptr));
    if (study::open_at(hours, now.tm_wday, now.tm_hour * 60 + now.tm_min)) return;
    const std::string line = "waiting: runs are " + study::words_of({{}, hours.window, hours.days}) + " (local time)";
    if (!std::exchange(told, true)) print_note(line);
    show(line);
    rest_a_little();
  }
}

void wait_for_time(int minute, const std::atomic<int>& stop, const ShowLine& show) {
  const std::time_t begun = std::time(nullptr);
  std::tm wanted = local_now(begun);
  if (wanted.tm_hour * 60 + wanted.tm_min >= minute) wanted.tm_mday += 1;
  wanted.tm_hour = minute / 60;
  wanted.tm_min = minute % 60;
  wanted.tm_sec = 0;
  wanted.tm_isdst = -1;
  const std::time_t target = ::mktime(&wanted);
  const std::string line = "waiting for the next " + study::clock_words(minute) + " (local time)";
  if (stop.load() == 0 && std::time(nullptr) < target) print_note(line);
  while (stop.load() == 0 && std::time(nullptr) < target) {
    show(line);
    rest_a_little();
  }
}

}  // namespace prony::app
