/* SPDX-License-Identifier: MIT
 * flame.h -- folded stacks as a picture. */
#ifndef TINY_FLAME_H
#define TINY_FLAME_H

#include <stdio.h>

/* Write the folded stacks in 'folded' ("outermost;...;innermost count" lines, which are changed)
 * as an SVG that needs nothing else: names show in the boxes that are wide enough, and when the
 * mouse is over them. */
void tiny_flame_draw(FILE *out, char *folded, const char *title);

#endif
