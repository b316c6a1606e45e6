/* SPDX-License-Identifier: MIT
 * floor.c -- what LuaJIT and libuv cost alone: a state with its libraries, and a loop that listens.
 *
 *     floor PORT FIFO */
#include <arpa/inet.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

static void on_connection(uv_stream_t *server, int status) { (void)server, (void)status; }

int main(int argc, char **argv) {
  static uv_tcp_t server;
  struct sockaddr_in address;
  lua_State *L = luaL_newstate();
  if (argc != 3 || !L) return 2;
  luaL_openlibs(L);
  uv_tcp_init(uv_default_loop(), &server);
  uv_ip4_addr("127.0.0.1", atoi(argv[1]), &address);
  if (uv_tcp_bind(&server, (struct sockaddr *)&address, 0) != 0) return 1;
  if (uv_listen((uv_stream_t *)&server, 128, on_connection) != 0) return 1;
  int fifo = open(argv[2], O_WRONLY);
  if (fifo < 0 || write(fifo, "x", 1) != 1) return 1;
  close(fifo);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
