// Any bytes for the decoder: nothing outside them is read, an instruction has 1 to 15 bytes,
// follows from exactly these, and is not found in fewer.
#include <vector>

#include "monitor/instruction/decoder.hpp"
#include "require.hpp"

using namespace undercroft;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bool is_32_bit = data[0] & 1;
  // In a place of its own, so that the sanitiser sees a read behind its end.
  const std::vector<std::uint8_t> bytes(data + 1, data + size);
  const auto decoded = decode(bytes, is_32_bit);
  if (!decoded.ok()) return 0;
  const Instruction& instruction = decoded.value();
  require(instruction.length >= 1 && instruction.length <= 15 &&
          instruction.length <= bytes.size());
  require(instruction.operation != Operation::invalid);
  const std::vector<std::uint8_t> exact(bytes.begin(), bytes.begin() + instruction.length);
  const auto again = decode(exact, is_32_bit);
  require(again.ok() && again.value().length == instruction.length &&
          again.value().operation == instruction.operation);
  const std::vector<std::uint8_t> shorter(exact.begin(), exact.end() - 1);
  require(!decode(shorter, is_32_bit).ok());
  return 0;
}
