// The host's VGA text screen, 80 by 25, mapped at window::screen. It knows lines and scrolling
// only.
#pragma once

#include <cstdint>
#include <string_view>

namespace undercroft::x86 {

class Screen {
 public:
  void initialise();
  void write(std::string_view text);

 private:
  void put(char c);
  void new_line();
  void show_cursor();

  unsigned column_ = 0;
  unsigned row_ = 0;
};

}  // namespace undercroft::x86
