// The image's own functions by address, for reports. The table is made from the linked image and
// put into it by a second link (cmake/symbols.py).
#pragma once

#include <cstdint>
#include <string_view>

namespace undercroft::x86 {

struct SymbolMatch {
  std::string_view name;  // empty if the address is in no function
  std::uint32_t offset = 0;
};

SymbolMatch find_symbol(std::uint32_t address);

}  // namespace undercroft::x86
