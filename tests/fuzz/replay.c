/* SPDX-License-Identifier: MIT
 * replay.c -- a target's main() where there is no libFuzzer: the files of a folder, one by one. */
#include "fuzz.h"

#include <dirent.h>
#include <limits.h>

static int replay(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) return -1;
  char *bytes = NULL;
  size_t size = 0, got;
  do {
    bytes = realloc(bytes, size + 65536);
    FUZZ_CHECK(bytes != NULL);
    got = fread(bytes + size, 1, 65536, file);
    size += got;
  } while (got > 0);
  fclose(file);
  LLVMFuzzerTestOneInput((const uint8_t *)bytes, size);
  free(bytes);
  return 0;
}

int main(int argc, char **argv) {
  char path[PATH_MAX];
  int count = 0;
  DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
  FUZZ_CHECK(folder != NULL);
  for (struct dirent *entry; (entry = readdir(folder));) {
    if (entry->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
    fprintf(stderr, "%s\n", path);
    FUZZ_CHECK(replay(path) == 0);
    count++;
  }
  closedir(folder);
  printf("replayed %d inputs\n", count);
  return count == 0;
}
