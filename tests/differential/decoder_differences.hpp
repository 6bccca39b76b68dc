// Where Undercroft's decoder and Zydis differ on purpose, each with the reason. A row that no
// encoding meets any more fails the test of generated encodings.
#pragma once

#include "decoder_oracle.hpp"

namespace undercroft::differential {

// Zydis accepts the encoding, Undercroft does not. The other way round there is no difference.
struct Difference {
  const char* reason;
  bool (*concerns)(const ZydisAnswer&);
};

std::span<const Difference> differences();

}  // namespace undercroft::differential
