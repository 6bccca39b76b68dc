// The smallest kernel: one line and the end.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"

const char* const test_name = "hello";

void test() { guest::line("Hello from a kernel."); }
