/* SPDX-License-Identifier: MIT
 * process.c -- posix_spawn(3) does it without copying our page tables, and tells when it fails. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { NONE = -1 };

static void close_all(int *fds, int count) {
  for (int i = 0; i < count; i++)
    if (fds[i] >= 0) close(fds[i]);
}

/* ours[i] is the parent's end of standard stream i, theirs[i] the child's. */
static int open_pipes(int ours[3], int theirs[3]) {
  for (int i = 0; i < 3; i++) ours[i] = theirs[i] = NONE;
  for (int i = 0; i < 3; i++) {
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) != 0) return -errno;
    bool writes = i == 0;
    ours[i] = pair[writes];
    theirs[i] = pair[!writes];
    fcntl(ours[i], F_SETFL, O_NONBLOCK);
  }
  return 0;
}

static void set_attributes(posix_spawnattr_t *attr) {
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_init(attr);
  posix_spawnattr_setflags(attr,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setpgroup(attr, 0);
  posix_spawnattr_setsigmask(attr, &none);
  posix_spawnattr_setsigdefault(attr, &all);
}

/* Scripts open files without O_CLOEXEC: everything beyond the standard streams is closed. */
static void set_actions(posix_spawn_file_actions_t *actions, const int theirs[3], const char *cwd) {
  posix_spawn_file_actions_init(actions);
  for (int i = 0; i < 3; i++) posix_spawn_file_actions_adddup2(actions, theirs[i], i);
  posix_spawn_file_actions_addclosefrom_np(actions, 3);
  if (cwd) posix_spawn_file_actions_addchdir_np(actions, cwd);
}

static int start(const tiny_program *program, const int theirs[3], pid_t *pid) {
  posix_spawnattr_t attr;
  posix_spawn_file_actions_t actions;
  set_attributes(&attr);
  set_actions(&actions, theirs, program->cwd);
  char *const *envp = program->envp ? program->envp : environ;
  int rc = posix_spawnp(pid, program->argv[0], &actions, &attr, program->argv, envp);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attr);
  return -rc;
}

int tiny_spawn(const tiny_program *program, tiny_spawned *spawned) {
  int theirs[3];
  int rc = open_pipes(spawned->pipes, theirs);
  if (rc == 0) rc = start(program, theirs, &spawned->pid);
  close_all(theirs, 3);
  if (rc == 0) spawned->pidfd = (int)syscall(SYS_pidfd_open, spawned->pid, O_NONBLOCK);
  if (rc == 0 && spawned->pidfd >= 0) return 0;
  if (rc == 0) { /* no descriptor left to hear of its end by */
    rc = -errno;
    kill(-spawned->pid, SIGKILL);
    waitpid(spawned->pid, NULL, 0);
  }
  close_all(spawned->pipes, 3);
  return rc;
}
