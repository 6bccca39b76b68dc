// Code by chance: bytes of any kind, or instructions that only kernels use, with operands by
// chance.
#include "attacks.hpp"

namespace guest {
namespace {

// Opcodes that a monitor has to do something about. A last byte of mod marks those with ModRM.
struct Seed {
  u8 length, bytes[3];
  bool modrm;
};
constexpr Seed seeds[] = {
    {1, {0x9c}, false},       {1, {0x9d}, false},
    {1, {0xfa}, false},       {1, {0xfb}, false},
    {1, {0xcf}, false},       {1, {0xcb}, false},
    {1, {0xcc}, false},       {1, {0xce}, false},
    {1, {0xf1}, false},       {1, {0xec}, false},
    {1, {0x6d}, false},       {1, {0x06}, false},
    {1, {0x07}, false},       {1, {0x16}, false},
    {1, {0x17}, false},       {1, {0x0e}, false},
    {1, {0x1f}, false},       {1, {0x8e}, true},
    {1, {0x8c}, true},        {1, {0xc4}, true},
    {1, {0x62}, true},        {1, {0x63}, true},
    {1, {0xff}, true},        {1, {0xc8}, false},
    {2, {0x0f, 0x00}, true},  {2, {0x0f, 0x01}, true},
    {2, {0x0f, 0x02}, true},  {2, {0x0f, 0x03}, true},
    {2, {0x0f, 0x06}, false}, {2, {0x0f, 0x08}, false},
    {2, {0x0f, 0x09}, false}, {2, {0x0f, 0x20}, true},
    {2, {0x0f, 0x21}, true},  {2, {0x0f, 0x22}, true},
    {2, {0x0f, 0x23}, true},  {2, {0x0f, 0x30}, false},
    {2, {0x0f, 0x31}, false}, {2, {0x0f, 0x32}, false},
    {2, {0x0f, 0x33}, false}, {2, {0x0f, 0x34}, false},
    {2, {0x0f, 0x35}, false}, {2, {0x0f, 0xa0}, false},
    {2, {0x0f, 0xa1}, false}, {2, {0x0f, 0xa2}, false},
    {2, {0x0f, 0xa8}, false}, {2, {0x0f, 0xa9}, false},
    {2, {0x0f, 0xb2}, true},  {2, {0x0f, 0xb4}, true},
    {2, {0x0f, 0xb5}, true},  {2, {0x0f, 0xc7}, true},
    {2, {0x0f, 0xae}, true},  {2, {0x0f, 0xaa}, false},
    {1, {0xd9}, true},        {1, {0xdd}, true},
    {1, {0xa5}, false},       {2, {0xf3, 0xa5}, false},
    {2, {0xf3, 0xaa}, false}, {3, {0xf3, 0x66, 0xa5}, false},
    {2, {0xf2, 0xae}, false}, {1, {0x87}, true},
    {1, {0x89}, true},        {1, {0x01}, true},
    {1, {0x8b}, true},        {1, {0x0f}, true},
    {1, {0xcd}, false},       {1, {0xe8}, false},
    {1, {0xeb}, false},       {1, {0x74}, false},
    {1, {0xe2}, false},       {1, {0xea}, false},
    {1, {0x9a}, false},       {1, {0xc2}, false},
};

}  // namespace

void fill_with_code(volatile u8* at, u32 bytes) {
  const bool any = one_in(3);
  for (u32 i = 0; i < bytes;) {
    if (any || one_in(6)) {
      at[i++] = static_cast<u8>(random());
      continue;
    }
    if (one_in(5)) at[i++] = "\x66\x67\xf0\xf2\xf3\x26\x2e\x36\x3e\x64\x65"[random(11)];
    const Seed& seed = seeds[random(sizeof seeds / sizeof *seeds)];
    for (u32 k = 0; k < seed.length && i < bytes; ++k) at[i++] = seed.bytes[k];
    if (seed.modrm && i < bytes) at[i++] = static_cast<u8>(random());
    if (one_in(3) && i < bytes) at[i++] = static_cast<u8>(random());
  }
}

}  // namespace guest
