#include "model/time.hpp"

#ifdef DEFECT
auto later = prony::Instant{1} + prony::Instant{2};
#else
auto later = prony::Instant{1} + prony::Duration{2};
#endif
