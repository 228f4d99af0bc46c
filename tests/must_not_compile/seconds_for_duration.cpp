#include "model/time.hpp"

prony::Duration wait(prony::Duration duration) { return duration; }
#ifdef DEFECT
auto waited = wait(prony::Seconds(1));
#else
auto waited = wait(prony::milliseconds(1000));
#endif
