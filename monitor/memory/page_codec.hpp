// A page's contents made small, and back: runs of words that go on as the two before them did, that
// stand in a small dictionary of words seen lately, that share their upper 24 bits with such a
// word, or that are new. It knows one page at a time; where the bytes are kept is page_store.hpp's
// business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "../address.hpp"

namespace undercroft {

inline constexpr unsigned page_words = page_size / 4;
using PageView = std::span<const std::uint32_t, page_words>;

bool is_zero_page(PageView);

// The bytes of `out` that were filled, or empty if the page does not fit into it. The worst page
// needs five quarters of its size.
std::optional<std::uint32_t> pack_page(PageView, std::span<std::byte> out);

// False if the bytes are not one packed page; the page's contents are undefined then.
bool unpack_page(std::span<const std::byte> packed, std::span<std::uint32_t, page_words> page);

}  // namespace undercroft
