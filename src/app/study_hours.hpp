// Waiting for the hours in which a study may begin runs, by this machine's local time, looked at anew a few times a
// second: a clock that is set and a summer time that begins are met as they come. Thread promise: any thread; a `stop`
// that is not 0 ends the wait.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "study/hours.hpp"

namespace prony::app {

using ShowLine = std::function<void(const std::string&)>;

// Until the hours are open.
void wait_for_hours(const study::Hours& hours, const std::atomic<int>& stop, const ShowLine& show);
// Until the next time that the clock shows this minute of the day.
void wait_for_time(int minute, const std::atomic<int>& stop, const ShowLine& show);

}  // namespace prony::app
