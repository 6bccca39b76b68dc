// Decoder against Zydis over real code: walks files of raw 32-bit machine code linearly. Usage:
//   decoder_text FILE...
// Where neither decodes (data amid code), the walk goes on at the next byte. Fails on the first
// kind of difference that decoder_differences.hpp does not justify; prints what was met.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <vector>

#include "decoder_differences.hpp"
#include "decoder_oracle.hpp"

namespace undercroft::differential {
namespace {

std::vector<std::uint8_t> read(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void print_classes(const Oracle& oracle) {
  for (unsigned i = 0; i < differences().size(); ++i)
    if (const auto met = oracle.justified().find(i); met != oracle.justified().end())
      std::printf("  justified %llu: %s\n", static_cast<unsigned long long>(met->second),
                  differences()[i].reason);
}

bool walk(const char* path) {
  const std::vector<std::uint8_t> text = read(path);
  if (text.empty()) {
    std::fprintf(stderr, "%s: cannot be read, or is empty\n", path);
    return false;
  }
  Oracle oracle(true);
  std::uint64_t skipped = 0;
  for (std::size_t position = 0; position < text.size();) {
    const unsigned length = oracle.compare(std::span(text).subspan(position));
    skipped += length == 0;
    position += length == 0 ? 1 : length;
  }
  std::printf("%s: %zu bytes, %llu instructions equal, %llu bytes decoded by neither\n", path,
              text.size(), static_cast<unsigned long long>(oracle.valid()),
              static_cast<unsigned long long>(skipped));
  print_classes(oracle);
  std::fputs(oracle.report().c_str(), stdout);
  return oracle.report().empty();
}

}  // namespace
}  // namespace undercroft::differential

int main(int count, char** arguments) {
  if (count < 2) {
    std::fprintf(stderr, "usage: decoder_text FILE...\n");
    return 2;
  }
  bool good = true;
  for (int i = 1; i < count; ++i) good &= undercroft::differential::walk(arguments[i]);
  return good ? 0 : 1;
}
