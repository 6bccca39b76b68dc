// What a fuzz target demands; libFuzzer keeps the input that breaks it.
#pragma once

#include <cstdlib>

namespace undercroft {

inline void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace undercroft
