/* SPDX-License-Identifier: MIT
 * http_file.h -- the files that answers are made of. Any thread. */
#ifndef TINY_HTTP_FILE_H
#define TINY_HTTP_FILE_H

#include <sys/stat.h>

/* Open a regular file; below 'folder' unless that is NULL, and then nothing leads out of it, symbolic
 * links neither. Returns its descriptor with 'st', or a negative errno. */
int tiny_http_open_file(const char *folder, const char *path, struct stat *st);

#endif
