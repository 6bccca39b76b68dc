// Short ways to make a LoadError.
#pragma once

#include "guest_loader.hpp"

namespace undercroft {

constexpr Failure<LoadError> refuse(std::string_view field, std::string_view text) {
  return Failure{LoadError{field, text}};
}

// The message ends in ", found 0x<value>".
constexpr Failure<LoadError> refuse(std::string_view field, std::string_view text,
                                    std::uint64_t value) {
  return Failure{LoadError{field, text, value, true}};
}

constexpr Failure<LoadError> refuse_module(std::size_t module, std::string_view field,
                                           std::string_view text) {
  return Failure{LoadError{field, text, 0, false, static_cast<std::uint8_t>(module)}};
}

}  // namespace undercroft
