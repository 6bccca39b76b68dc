#include "entropy_pool.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace undercroft {
namespace {

using Block = std::array<std::uint32_t, 16>;

void quarter_round(Block& s, unsigned a, unsigned b, unsigned c, unsigned d) {
  s[a] += s[b], s[d] = std::rotl(s[d] ^ s[a], 16);
  s[c] += s[d], s[b] = std::rotl(s[b] ^ s[c], 12);
  s[a] += s[b], s[d] = std::rotl(s[d] ^ s[a], 8);
  s[c] += s[d], s[b] = std::rotl(s[b] ^ s[c], 7);
}

}  // namespace

Block chacha20_block(const Block& input) {
  Block s = input;
  for (unsigned round = 0; round < 10; ++round) {
    quarter_round(s, 0, 4, 8, 12);
    quarter_round(s, 1, 5, 9, 13);
    quarter_round(s, 2, 6, 10, 14);
    quarter_round(s, 3, 7, 11, 15);
    quarter_round(s, 0, 5, 10, 15);
    quarter_round(s, 1, 6, 11, 12);
    quarter_round(s, 2, 7, 8, 13);
    quarter_round(s, 3, 4, 9, 14);
  }
  for (unsigned i = 0; i < s.size(); ++i) s[i] += input[i];
  return s;
}

// The sample takes the place of counter and nonce in part; `number` tells apart what is made of one
// key.
Block EntropyPool::block(std::uint32_t number, std::uint64_t sample) const {
  Block input{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
  std::copy(key_.begin(), key_.end(), input.begin() + 4);
  input[12] = number;
  input[13] = static_cast<std::uint32_t>(sample);
  input[14] = static_cast<std::uint32_t>(sample >> 32);
  return chacha20_block(input);
}

void EntropyPool::set_key(const Block& block) {
  std::copy_n(block.begin(), key_.size(), key_.begin());
}

void EntropyPool::add(std::uint64_t sample) { set_key(block(0, sample)); }

void EntropyPool::take(std::span<std::byte> out) {
  for (std::uint32_t number = 1; !out.empty(); ++number) {
    const Block bytes = block(number, 0);
    const std::size_t piece = std::min(out.size(), sizeof bytes);
    std::memcpy(out.data(), bytes.data(), piece);
    out = out.subspan(piece);
  }
  set_key(block(0, 0));
}

}  // namespace undercroft
