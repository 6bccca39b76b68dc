#include "framebuffer_graphics.hpp"

#include <algorithm>

#include "../memory/small_copy.hpp"

namespace undercroft {
namespace {

constexpr std::uint32_t everything = ~std::uint32_t{0};
constexpr std::uint32_t page_addresses = 2048;  // of a plane; a page holds two planes' bytes
constexpr std::uint32_t page_bytes = page_addresses * 2;
constexpr std::uint32_t pages_of_planes = 32;
constexpr unsigned most_scale = 8;  // a pixel's dots have to fit what PixelMemory gives at once

}  // namespace

bool FramebufferGraphics::set_registers(const VgaRegisters& registers,
                                        const Framebuffer& framebuffer) {
  registers_ = registers;
  const VgaPicture picture(registers_);
  for (unsigned i = 0; i < pixels_.size(); ++i) {
    pixels_[i] = picture.blank() ? 0 : framebuffer.pixel(picture.colour(i));
  }
  noted_ = everything;
  const bool resized = width_ != picture.width() || height_ != picture.height();
  place(picture, framebuffer);
  return resized;
}

void FramebufferGraphics::place(const VgaPicture& picture, const Framebuffer& framebuffer) {
  width_ = picture.width(), height_ = picture.height();
  const unsigned fits = std::min(framebuffer.width / width_, framebuffer.height / height_);
  scale_ = std::clamp(fits, 1u, most_scale);
  shown_width_ = std::min(width_, framebuffer.width / scale_);
  shown_height_ = std::min(height_, framebuffer.height / scale_);
  pitch_ = framebuffer.pitch;
  pixel_bytes_ = framebuffer.bytes_per_pixel();
  const unsigned left = (framebuffer.width - shown_width_ * scale_) / 2;
  const unsigned top = (framebuffer.height - shown_height_ * scale_) / 2;
  first_ = top * pitch_ + left * pixel_bytes_;
}

void FramebufferGraphics::note_page(std::uint32_t offset) {
  noted_ |= 1u << offset / page_bytes % pages_of_planes;
}

bool FramebufferGraphics::is_noted(std::uint32_t address, unsigned addresses) const {
  for (std::uint32_t page = address / page_addresses;
       page <= (address + addresses) / page_addresses; ++page) {
    if (noted_ >> page % pages_of_planes & 1) return true;
  }
  return false;
}

void FramebufferGraphics::draw(PixelMemory& out, VideoMemory& memory) {
  if (noted_ == 0) return;
  const VgaPicture picture(registers_);
  for (unsigned line = 0; line < shown_height_; ++line) {
    if (!is_noted(picture.address(line), picture.addresses())) continue;
    for (unsigned copy = 0; copy < scale_; ++copy) {
      draw_line(picture, line, first_ + (line * scale_ + copy) * pitch_, out, memory);
    }
  }
  noted_ = 0;
}

// From the pixel on that panning leaves, to the last dot that fits.
void FramebufferGraphics::draw_line(const VgaPicture& picture, unsigned line, std::uint32_t offset,
                                    PixelMemory& out, VideoMemory& memory) const {
  std::uint32_t address = picture.address(line);
  unsigned at = picture.panning(line);
  const unsigned pixel_width = picture.pixel_width(), bytes = pixel_width * scale_ * pixel_bytes_;
  VgaPicture::Pixels pixels = picture.read(memory, address);
  for (unsigned dot = 0; dot + pixel_width <= shown_width_; dot += pixel_width, offset += bytes) {
    if (at == picture.pixels()) {
      pixels = picture.read(memory, ++address);
      at = 0;
    }
    std::byte* place = out.at(offset, bytes);
    for (unsigned i = 0; i < pixel_width * scale_; ++i, place += pixel_bytes_) {
      store_bytes(place, pixels_[pixels[at]], pixel_bytes_);
    }
    ++at;
  }
}

}  // namespace undercroft
