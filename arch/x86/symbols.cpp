#include "symbols.hpp"

#include "image_layout.hpp"

namespace undercroft::x86 {
namespace {

struct Symbol {
  std::uint32_t address;
  const char* name;
};

}  // namespace

extern "C" {
extern const Symbol symbol_table[];  // by address
extern const Symbol symbol_table_end[];
}

SymbolMatch find_symbol(std::uint32_t address) {
  if (address < window::image_start || address >= offset_of(image_read_only_end)) return {};
  const Symbol* found = nullptr;
  for (const Symbol* symbol = symbol_table; symbol != symbol_table_end; ++symbol) {
    if (symbol->address <= address) found = symbol;
  }
  if (!found) return {};
  return {found->name, address - found->address};
}

}  // namespace undercroft::x86
