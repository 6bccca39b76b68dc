// The line that tells how a sequence ended. It leaves out what is as it was at the start.
#pragma once

#include "sequence.hpp"

namespace sandbox {

void report(const Sequence& sequence, const State& state);

}  // namespace sandbox
