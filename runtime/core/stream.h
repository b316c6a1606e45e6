/* SPDX-License-Identifier: MIT
 * stream.h -- a connected byte stream on a non-blocking socket, plain or through a channel
 * such as TLS. Knows nothing of who waits for it: try, and when
 * that gives UV_EAGAIN try again after the next event. All results are negative UV codes
 * or counts. Loop thread only. */
#ifndef TINY_STREAM_H
#define TINY_STREAM_H

#include "poller.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct tiny_stream tiny_stream;

/* What bytes go through on their way; each returns as read(2) and write(2) would, or a
 * negative UV code. */
typedef struct tiny_channel {
  ssize_t (*read)(tiny_stream *stream, void *data, size_t size);
  ssize_t (*write)(tiny_stream *stream, const void *data, size_t size);
  ssize_t (*send_file)(tiny_stream *stream, int file, off_t *at, size_t size);
  int (*finish)(tiny_stream *stream); /* no more will be written */
  void (*free)(tiny_stream *stream);
} tiny_channel;

struct tiny_stream {
  tiny_poll poll;
  tiny_poller *poller;
  const tiny_channel *channel;
  void *channel_data;
  char *data; /* read and not yet taken: [begin, end) of 'room' bytes */
  size_t begin, end, room;
  size_t searched; /* bytes from begin on that hold no line's end */
  bool drained;    /* nothing is there to be read before the next event */
  bool ended;      /* nothing more will come */
  bool hung_up; /* the peer has closed its side, or all: what it sent before may still be there */
  int broken;   /* why writing cannot go on, a negative UV code; 0 */
  size_t sent;  /* of the write under way */
  bool begun;   /* and nothing else may come between: some of it is out, or held */
  bool held;    /* the channel has begun with bytes that it has not taken: they must come again */
  char *kept;   /* writes that were left to us: they go out before others. NULL: nothing */
  size_t kept_at, kept_size;
  void (*on_event)(tiny_stream *stream); /* try again. May close the stream and free it. */
};

/* Own 'fd', which is non-blocking. Returns 0 or a negative UV code, and closes it then. */
int tiny_stream_open(tiny_stream *stream, tiny_poller *poller, int fd,
                     void (*on_event)(tiny_stream *stream));

/* Give the descriptor back. Harmless to repeat; what is done with it afterwards gives UV_ECANCELED. */
void tiny_stream_close(tiny_stream *stream);
bool tiny_stream_is_open(const tiny_stream *stream);

/* What to read. */
typedef struct tiny_wish {
  enum { TINY_READ_SOME, TINY_READ_EXACTLY, TINY_READ_LINE } what;
  size_t size; /* EXACTLY: so many; SOME and LINE: at most so many */
} tiny_wish;

/* What was read. Lives until the next call on the stream; TINY_READ_LINE's is without its end. */
typedef struct tiny_bytes {
  const char *data;
  size_t size;
} tiny_bytes;

/* Returns 0 with 'bytes', UV_EAGAIN, UV_EOF (what is left of an unfinished wish can still be
 * read as SOME), UV_EMSGSIZE for a line that is too long, or why reading failed. */
int tiny_stream_read(tiny_stream *stream, tiny_wish wish, tiny_bytes *bytes);

/* What was read is no longer looked at: a buffer that has nothing more to give is given back. Whoever
 * may wait for something else now costs no buffer meanwhile. */
void tiny_stream_rest(tiny_stream *stream);

/* For parsers: read more into the buffer (0, UV_EAGAIN, UV_EOF or why not), look at what is in
 * it, and take so many bytes off its beginning: what was looked at is gone then. */
int tiny_stream_fill(tiny_stream *stream);
tiny_bytes tiny_stream_peek(const tiny_stream *stream);
void tiny_stream_skip(tiny_stream *stream, size_t size);

/* Write what goes through at once, from memory or from a file at '*at', which moves on. Returns
 * how much that was, or UV_EAGAIN, or why not. */
ssize_t tiny_stream_push(tiny_stream *stream, const char *data, size_t size);
ssize_t tiny_stream_push_file(tiny_stream *stream, int file, off_t *at, size_t size);

/* Write all of it: returns 0, or UV_EAGAIN when some is left: call again with the same bytes.
 * Whoever does not calls tiny_stream_cut() or tiny_stream_keep(). */
int tiny_stream_write(tiny_stream *stream, const char *data, size_t size);

/* The write under way is given up: the peer could not tell where its message ends. */
void tiny_stream_cut(tiny_stream *stream);

/* Leave a write of these bytes to the stream, which goes on by itself with a copy: the one under way, or one that
 * waits behind it. What is written later comes after it. Out of memory the stream is broken. */
void tiny_stream_keep(tiny_stream *stream, const char *data, size_t size, bool under_way);

/* Half-close: the peer reads the end. Returns 0, UV_EAGAIN or why not. */
int tiny_stream_finish(tiny_stream *stream);

#endif
