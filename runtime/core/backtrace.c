/* SPDX-License-Identifier: MIT
 * backtrace.c -- C frames and their names.
 *
 * dladdr() and backtrace_symbols() take the loader's lock, which the stuck thread
 * may hold. So names are looked up here, in the dynamic symbol tables. */
#include "backtrace.h"

#include <dlfcn.h>
#include <elf.h>
#include <execinfo.h>
#include <link.h>
#include <string.h>
#include <ucontext.h>

enum { MAX_FRAMES = 40 };

typedef struct symbols {
  const Elf64_Sym *table;
  const char *names;
  size_t count;
} symbols;

void tiny_backtrace_prime(void) {
  void *frame;
  backtrace(&frame, 1);
}

static uintptr_t hit_address(const void *context) {
#if defined(__x86_64__)
  return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
  return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.pc;
#else
  return (void)context, 0;
#endif
}

/* The loader makes these addresses absolute, except in the vDSO. */
static const void *section(const struct link_map *map, Elf64_Addr address) {
  return (const void *)(address < map->l_addr ? address + map->l_addr : address);
}

/* A GNU hash table does not tell how many symbols there are: its last chain ends with the last. */
static size_t count_symbols(const uint32_t *hash) {
  uint32_t buckets = hash[0], first = hash[1], last = 0;
  const uint32_t *bucket = hash + 4 + hash[2] * (sizeof(Elf64_Addr) / sizeof *hash);
  const uint32_t *chain = bucket + buckets;
  for (uint32_t i = 0; i < buckets; i++)
    if (bucket[i] > last) last = bucket[i];
  if (last < first) return 0;
  while (!(chain[last - first] & 1)) last++;
  return last + 1;
}

static symbols symbols_of(const struct link_map *map) {
  symbols found = {0};
  for (const Elf64_Dyn *entry = map->l_ld; entry && entry->d_tag != DT_NULL; entry++) {
    const void *at = section(map, entry->d_un.d_ptr);
    if (entry->d_tag == DT_SYMTAB) found.table = at;
    if (entry->d_tag == DT_STRTAB) found.names = at;
    if (entry->d_tag == DT_GNU_HASH) found.count = count_symbols(at);
  }
  return found;
}

static const Elf64_Sym *symbol_at(const symbols *all, uintptr_t offset) {
  for (size_t i = 0; all->table && all->names && i < all->count; i++) {
    const Elf64_Sym *symbol = &all->table[i];
    if (ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && offset >= symbol->st_value &&
        offset < symbol->st_value + symbol->st_size)
      return symbol;
  }
  return NULL;
}

static void put_place(tiny_report *report, uintptr_t address) {
  struct dl_find_object object;
  if (_dl_find_object((void *)address, &object) != 0) { /* compiled Lua, among others */
    tiny_report_hex(report, address);
    return;
  }
  const struct link_map *map = object.dlfo_link_map;
  const char *file = strrchr(map->l_name, '/');
  uintptr_t offset = address - map->l_addr;
  symbols all = symbols_of(map);
  const Elf64_Sym *symbol = symbol_at(&all, offset);
  tiny_report_put(report, file ? file + 1 : *map->l_name ? map->l_name : "program");
  tiny_report_put(report, symbol ? ": " : "+");
  if (symbol) {
    tiny_report_put(report, all.names + symbol->st_name);
    tiny_report_put(report, "+");
    offset -= symbol->st_value;
  }
  tiny_report_hex(report, offset);
}

void tiny_backtrace_put(tiny_report *report, const void *context) {
  void *frames[MAX_FRAMES];
  int count = backtrace(frames, MAX_FRAMES), first = 0;
  uintptr_t hit = hit_address(context);
  while (first < count && (uintptr_t)frames[first] != hit) first++;
  if (first == count) { /* no way to unwind to there: the place itself must do */
    tiny_report_put(report, "  #0 ");
    put_place(report, hit);
    tiny_report_put(report, "\n");
    return;
  }
  for (int i = first; i < count; i++) {
    tiny_report_put(report, "  #");
    tiny_report_number(report, i - first);
    tiny_report_put(report, " ");
    /* A return address may be the first of the next function: look at the call before it. */
    put_place(report, (uintptr_t)frames[i] - (i > first));
    tiny_report_put(report, "\n");
  }
}
