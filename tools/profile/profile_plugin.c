/* A QEMU TCG plugin that counts executed instructions by linear address, for profile.py.

   Knows QEMU and where the window begins; symbols and regions are profile.py's business.
   Arguments: out=FILE where the counts go, window=ADDRESS the window's base, each=block or
   each=instruction what a counter stands for.

   The machine has one processor and its code is translated by the thread that runs it, so nothing
   here is locked. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Version 1 of QEMU's plugin interface (qemu-plugin.h of QEMU 7.2, which distributions do not
   ship): what is used of it. */
#define EXPORTED __attribute__((visibility("default")))
typedef uint64_t PluginId;
struct qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { ADD_U64 = 0 };
void qemu_plugin_register_vcpu_tb_trans_cb(PluginId id,
                                           void (*callback)(PluginId, struct qemu_plugin_tb *));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *instruction);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *block, int operation,
                                              void *counter, uint64_t value);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *instruction, int operation,
                                                void *counter, uint64_t value);
void qemu_plugin_register_atexit_cb(PluginId id, void (*callback)(PluginId, void *), void *data);

EXPORTED int qemu_plugin_version = 1;

enum { PAGE_BITS = 12, PAGE_SIZE = 1 << PAGE_BITS, WINDOW_SIZE = 0x400000 };

/* One counter per linear address, by page. Translated code holds their addresses: they never move
   and are never freed. */
static uint64_t *pages[1 << (32 - PAGE_BITS)];
static uint64_t before_window;
static int window_seen;
static uint32_t window_base = 0xff000000;
static int each_instruction;
static const char *output_name = "counts.txt";

static uint64_t *counter(uint32_t address) {
  uint64_t **page = &pages[address >> PAGE_BITS];
  if (*page == NULL) {
    *page = calloc(PAGE_SIZE, sizeof **page);
    if (*page == NULL) abort();
  }
  return *page + address % PAGE_SIZE;
}

/* Firmware and image start use addresses that guest programs use later. They are over when the
   first block of the window is translated: what has been counted till then is theirs. */
static void close_the_start(void) {
  for (size_t page = 0; page < sizeof pages / sizeof *pages; ++page) {
    if (pages[page] == NULL) continue;
    for (size_t index = 0; index < PAGE_SIZE; ++index) {
      before_window += pages[page][index];
      pages[page][index] = 0;
    }
  }
  window_seen = 1;
}

static void translated(PluginId id, struct qemu_plugin_tb *block) {
  (void)id;
  const uint32_t start = (uint32_t)qemu_plugin_tb_vaddr(block);
  const size_t count = qemu_plugin_tb_n_insns(block);
  if (!window_seen && start - window_base < WINDOW_SIZE) close_the_start();
  if (!each_instruction) {
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, counter(start), count);
    return;
  }
  for (size_t index = 0; index < count; ++index) {
    struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, index);
    uint64_t *its = counter((uint32_t)qemu_plugin_insn_vaddr(instruction));
    qemu_plugin_register_vcpu_insn_exec_inline(instruction, ADD_U64, its, 1);
  }
}

static void write_counts(PluginId id, void *data) {
  (void)id;
  (void)data;
  FILE *output = fopen(output_name, "w");
  if (output == NULL) {
    perror(output_name);
    return;
  }
  fprintf(output, "start %llu\n", (unsigned long long)before_window);
  for (size_t page = 0; page < sizeof pages / sizeof *pages; ++page) {
    if (pages[page] == NULL) continue;
    for (size_t index = 0; index < PAGE_SIZE; ++index) {
      if (pages[page][index] == 0) continue;
      fprintf(output, "%08llx %llu\n", (unsigned long long)(page << PAGE_BITS | index),
              (unsigned long long)pages[page][index]);
    }
  }
  if (fclose(output) != 0) perror(output_name);
}

EXPORTED int qemu_plugin_install(PluginId id, const struct qemu_info_t *info, int count,
                                 char **arguments) {
  (void)info;
  for (int index = 0; index < count; ++index) {
    const char *argument = arguments[index];
    if (strncmp(argument, "out=", 4) == 0) {
      output_name = strdup(argument + 4);
    } else if (strncmp(argument, "window=", 7) == 0) {
      window_base = (uint32_t)strtoul(argument + 7, NULL, 0);
    } else if (strcmp(argument, "each=instruction") == 0) {
      each_instruction = 1;
    } else if (strcmp(argument, "each=block") != 0) {
      fprintf(stderr, "profile plugin: unknown argument %s\n", argument);
      return -1;
    }
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_atexit_cb(id, write_counts, NULL);
  return 0;
}
