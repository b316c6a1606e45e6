/* SPDX-License-Identifier: MIT
 * plugin.h -- the parts of the runtime that need a large library, each a shared
 * object opened when it is first needed. */
#ifndef TINY_PLUGIN_H
#define TINY_PLUGIN_H

#include <stddef.h>

/* The table 'symbol' of plugin 'name', such as "mail", opened on
 * the first call and kept for the life of the process. Returns NULL with the
 * reason in 'why'. Any thread. */
const void *tiny_plugin_table(const char *name, const char *symbol, char *why, size_t why_size);

#endif
