// Any page is packed and comes back the same; any bytes are unpacked without harm.
#include <array>
#include <cstring>
#include <vector>

#include "monitor/memory/page_codec.hpp"
#include "require.hpp"

using namespace undercroft;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::array<std::uint32_t, page_words> page{}, unpacked;
  const std::vector<std::byte> bytes(reinterpret_cast<const std::byte*>(data),
                                     reinterpret_cast<const std::byte*>(data) + size);
  if (unpack_page(bytes, unpacked)) page = unpacked;
  if (size != 0 && size <= page_size) std::memcpy(page.data(), data, size);
  std::vector<std::byte> packed(5 * page_size / 4);
  const auto length = pack_page(page, packed);
  require(length && *length != 0);
  packed.resize(*length);
  require(unpack_page(packed, unpacked) && unpacked == page);
  return 0;
}
