/* SPDX-License-Identifier: MIT
 * mail.c -- the "mail" plugin: one mail over SMTP by libcurl. */
#include "mail.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS 15000u /* greeting, TLS and login included */

typedef struct reader {
  const char *text;
  size_t left;
} reader;

static size_t on_read(char *to, size_t size, size_t count, void *data) {
  reader *r = data;
  size_t n = size * count < r->left ? size * count : r->left;
  memcpy(to, r->text, n);
  r->text += n;
  r->left -= n;
  return n;
}

static int on_progress(void *data, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
  const tiny_mail *mail = data;
  (void)a, (void)b, (void)c, (void)d;
  return atomic_load(mail->stop);
}

static void set_server(CURL *curl, const tiny_mail *mail) {
  char url[512];
  const char *scheme = strcmp(mail->tls, "tls") == 0 ? "smtps" : "smtp";
  const char *form = strchr(mail->host, ':') ? "%s://[%s]:%d" : "%s://%s:%d";
  const char *authorities = getenv("SSL_CERT_FILE");
  snprintf(url, sizeof url, form, scheme, mail->host, mail->port);
  curl_easy_setopt(curl, CURLOPT_URL, url);
  if (strcmp(mail->tls, "none") != 0) {
    curl_easy_setopt(curl, CURLOPT_USE_SSL, (long)CURLUSESSL_ALL);
  }
  if (authorities) curl_easy_setopt(curl, CURLOPT_CAINFO, authorities);
  if (!mail->password) return;
  curl_easy_setopt(curl, CURLOPT_USERNAME, mail->from);
  curl_easy_setopt(curl, CURLOPT_PASSWORD, mail->password);
}

static void set_limits(CURL *curl, const tiny_mail *mail) {
  unsigned connect = mail->timeout_ms < CONNECT_MS ? mail->timeout_ms : CONNECT_MS;
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
  curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* none, whatever the environment says */
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); /* does not wait for a dead name server */
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)connect);
  curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, 30L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)mail->timeout_ms);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, (void *)mail);
}

/* One bad target does not keep the mail from the others. */
static struct curl_slist *set_envelope(CURL *curl, const tiny_mail *mail) {
  struct curl_slist *targets = NULL;
  for (const char *const *to = mail->targets; *to; to++) targets = curl_slist_append(targets, *to);
  curl_easy_setopt(curl, CURLOPT_MAIL_FROM, mail->from);
  curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, targets);
  curl_easy_setopt(curl, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L);
  return targets;
}

static tiny_mail_result outcome(CURL *curl, CURLcode code, const char *detail, char *why,
                                size_t why_size) {
  long answer = 0;
  if (code == CURLE_OK) return TINY_MAIL_SENT;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer);
  int n = snprintf(why, why_size, "%s", *detail ? detail : curl_easy_strerror(code));
  if (answer < 400 || answer > 599) return TINY_MAIL_LATER;
  if (n < (int)why_size) snprintf(why + n, why_size - (size_t)n, " (answer %ld)", answer);
  return answer < 500 ? TINY_MAIL_LATER : TINY_MAIL_REFUSED;
}

static tiny_mail_result send_mail(const tiny_mail *mail, char *why, size_t why_size) {
  char detail[CURL_ERROR_SIZE] = "";
  reader text = {mail->text, mail->size};
  CURL *curl = curl_easy_init();
  snprintf(why, why_size, "out of memory");
  if (!curl) return TINY_MAIL_LATER;
  set_server(curl, mail);
  set_limits(curl, mail);
  struct curl_slist *targets = set_envelope(curl, mail);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
  curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
  curl_easy_setopt(curl, CURLOPT_READDATA, &text);
  CURLcode code = curl_easy_perform(curl);
  tiny_mail_result result = outcome(curl, code, detail, why, why_size);
  curl_slist_free_all(targets);
  curl_easy_cleanup(curl);
  return result;
}

__attribute__((visibility("default"))) const tiny_mail_plugin tiny_mail_plugin_table = {send_mail};
