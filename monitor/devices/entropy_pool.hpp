// Random bytes for the guest, made from samples of what nobody foretells: a key of 256 bits that
// each sample changes, and ChaCha20 (RFC 8439, section 2.3) to make bytes of it. After each answer
// the key is another, so that what the guest was given cannot be found again in this state. How
// good the bytes are depends on the samples alone (docs/equivalence.md).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace undercroft {

// One block of ChaCha20: input is constants, key, counter and nonce, 16 words.
std::array<std::uint32_t, 16> chacha20_block(const std::array<std::uint32_t, 16>& input);

class EntropyPool {
 public:
  // Mixes in a sample: a time stamp, a processor's random number.
  void add(std::uint64_t sample);
  // Fills `out`, and changes the key.
  void take(std::span<std::byte> out);

 private:
  std::array<std::uint32_t, 16> block(std::uint32_t number, std::uint64_t sample) const;
  void set_key(const std::array<std::uint32_t, 16>&);

  std::array<std::uint32_t, 8> key_{};
};

}  // namespace undercroft
