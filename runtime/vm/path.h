/* SPDX-License-Identifier: MIT
 * path.h -- the path of a value inside tables, as Lua would write it: context.db["a b"][3]. */
#ifndef TINY_PATH_H
#define TINY_PATH_H

#include <lua.h>
#include <stddef.h>

/* Append the step that the key at 'index' is: .name, ["a b"], [3]. What does not fit is cut
 * off. Never raises, never changes the stack. */
void tiny_path_step(char *path, size_t size, lua_State *L, int index);

#endif
