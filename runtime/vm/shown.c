/* SPDX-License-Identifier: MIT
 * shown.c -- what the loop shows of itself, once a turn, to the control thread. */
#include "runtime.h"

void tiny_counts_show(tiny *rt) {
  tiny_generation *g = rt->current;
  if (!g) return;
  uint64_t heap =
      ((uint64_t)lua_gc(g->L, LUA_GCCOUNT, 0) << 10) + (uint64_t)lua_gc(g->L, LUA_GCCOUNTB, 0);
  atomic_store_explicit(&rt->state.tasks, tiny_tasks_total(g), memory_order_relaxed);
  atomic_store_explicit(&rt->state.lua_heap, heap, memory_order_relaxed);
}

/* A wait that a signal of ours cut short is no idle time to libuv. */
static uint64_t lag_of(tiny *rt, uint64_t now, uint64_t idle) {
  if (rt->interrupt && tiny_interrupt_hit_idle(rt->interrupt)) return 0;
  return (now - rt->turn_at) - (idle - rt->idle_ns);
}

void tiny_turn_show(uv_prepare_t *prepare) {
  tiny *rt = prepare->data;
  tiny_state *s = &rt->state;
  tiny_counts_show(rt);
  tiny_drain_show(rt);
  uint64_t now = uv_hrtime(), idle = uv_metrics_idle_time(&rt->loop);
  uint64_t lag = lag_of(rt, now, idle);
  rt->turn_at = now;
  rt->idle_ns = idle;
  if (lag > atomic_load_explicit(&s->lag_max_ns, memory_order_relaxed))
    atomic_store(&s->lag_max_ns, lag);
  atomic_fetch_add_explicit(&s->lag_sum_ns, lag, memory_order_relaxed);
  atomic_fetch_add_explicit(&s->lag_count, 1, memory_order_relaxed);
}
