# The translator against the interpreter: translated code runs on the processor of the machine that
# builds, in a 32-bit process without sanitizers, as native.cmake's does.
file(GLOB translator_logic CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/monitor/instruction/*.cpp
     ${CMAKE_SOURCE_DIR}/monitor/segment/*.cpp ${CMAKE_SOURCE_DIR}/monitor/translate/*.cpp
     ${CMAKE_SOURCE_DIR}/monitor/interrupts.cpp)
add_executable(translator_differential translator_test.cpp translator_programs.cpp
               translator_processor.cpp ${translator_logic})
target_include_directories(translator_differential PRIVATE ${CMAKE_SOURCE_DIR})
target_compile_options(translator_differential PRIVATE -m32 -O2 -g -fno-exceptions -fno-rtti
                       -fno-stack-protector -Wall -Wextra -Werror)
target_link_options(translator_differential PRIVATE -m32)
add_test(NAME translator_differential COMMAND translator_differential 1500)
