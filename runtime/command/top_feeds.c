/* SPDX-License-Identifier: MIT
 * top_feeds.c -- from messages to servers. */
#include "top_feeds.h"

#include "plugin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where messages come from: it may carry more than one server. */
struct tiny_top_source {
  tiny_top_feeds *feeds;
  const char *endpoint;
  bool heard;
};

static tiny_top_server *add_server(tiny_top_list *list, const char *endpoint) {
  size_t size = (size_t)(list->count + 1) * sizeof(tiny_top_server *);
  tiny_top_server **servers = realloc(list->servers, size);
  tiny_top_server *server = servers ? tiny_top_server_new(endpoint) : NULL;
  if (servers) list->servers = servers;
  if (server) servers[list->count++] = server;
  return server;
}

/* The server of that name on that host, or the one of its endpoint that has not been heard yet. */
static tiny_top_server *find_server(const tiny_top_source *from, const char *topic,
                                    const json_t *host) {
  tiny_top_list *list = &from->feeds->list;
  for (int i = 0; i < list->count; i++) {
    tiny_top_server *server = list->servers[i];
    if (server->endpoint != from->endpoint) continue;
    if (!server->topic) server->topic = strdup(topic);
    if (!server->topic) return NULL;
    const json_t *its_host = json_object_get(server->info, "host");
    if (strcmp(server->topic, topic) == 0 && (!its_host || json_equal(its_host, host)))
      return server;
  }
  tiny_top_server *server = add_server(list, from->endpoint);
  if (server) server->topic = strdup(topic);
  return server && server->topic ? server : NULL;
}

static void on_message(void *data, const char *topic, const char *text, size_t size) {
  tiny_top_source *from = data;
  json_t *message = json_loadb(text, size, 0, NULL);
  json_t *info = json_object_get(message, "info"), *conf = json_object_get(message, "conf");
  tiny_top_server *server =
      json_is_object(info) ? find_server(from, topic, json_object_get(info, "host")) : NULL;
  if (server) {
    json_int_t seq = json_integer_value(json_object_get(message, "seq"));
    tiny_top_server_take(server, json_incref(info), json_incref(conf), (uint64_t)seq);
    from->heard = true;
    if (from->feeds->heard) from->feeds->heard(from->feeds->data);
  }
  json_decref(message);
}

int tiny_top_feeds_open(tiny_top_feeds *feeds, uv_loop_t *loop, char **endpoints, int count,
                        const tiny_curve *curve, char *why, size_t why_size) {
  snprintf(why, why_size, "not enough memory");
  feeds->table = tiny_plugin_table("feed", "tiny_feed_subscriber", why, why_size);
  feeds->subscriber = feeds->table ? feeds->table->open(loop, count, why, why_size) : NULL;
  feeds->sources = calloc((size_t)count, sizeof *feeds->sources);
  if (!feeds->subscriber || !feeds->sources) return -1;
  for (; feeds->count < count; feeds->count++) {
    tiny_top_source *source = &feeds->sources[feeds->count];
    *source = (tiny_top_source){feeds, endpoints[feeds->count], false};
    if (!add_server(&feeds->list, source->endpoint) ||
        feeds->table->add(feeds->subscriber, source->endpoint, curve, on_message, source, why,
                          why_size) != 0)
      return -1;
  }
  return 0;
}

bool tiny_top_feeds_complete(const tiny_top_feeds *feeds) {
  for (int i = 0; i < feeds->count; i++)
    if (!feeds->sources[i].heard) return false;
  return true;
}

void tiny_top_feeds_close(tiny_top_feeds *feeds) {
  if (feeds->subscriber) feeds->table->close(feeds->subscriber);
  for (int i = 0; i < feeds->list.count; i++) tiny_top_server_free(feeds->list.servers[i]);
  free(feeds->list.servers);
  free(feeds->sources);
}

int tiny_top_curve_read(tiny_curve *curve, const char *path, char *why, size_t why_size) {
  char line[256];
  FILE *file = fopen(path, "re");
  *curve = (tiny_curve){0};
  if (!file) {
    snprintf(why, why_size, "%s: %s", path, strerror(errno));
    return -1;
  }
  while (fgets(line, sizeof line, file)) {
    sscanf(line, " server-key = \"%40[^\"]\"", curve->server);
    sscanf(line, " public-key = \"%40[^\"]\"", curve->public);
    sscanf(line, " secret-key = \"%40[^\"]\"", curve->secret);
  }
  fclose(file);
  if (*curve->server && *curve->public && *curve->secret) return 0;
  snprintf(why, why_size, "%s: needs lines with server-key, public-key and secret-key = \"...\"",
           path);
  return -1;
}
