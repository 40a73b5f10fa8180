/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fakes/fake_http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct Scripted {
    FakeAnswer answer; /* owns its strings */
    int left;          /* -1: for ever */
} Scripted;

typedef struct Connection {
    FakeHttp *fake;
    int socket;
    pthread_t thread;
    GString *input;
} Connection;

struct FakeHttp {
    int listener;
    char *url;
    pthread_t acceptor;
    bool is_stopped;         /* only the test's thread */
    pthread_mutex_t lock;    /* of all below */
    GPtrArray *answers;      /* of Scripted */
    GPtrArray *requests;     /* of FakeRequest */
    GPtrArray *connections;  /* of Connection */
    unsigned n_unexpected;
};

static void
scripted_free(void *data)
{
    Scripted *scripted = data;

    g_free((char *)scripted->answer.method);
    g_free((char *)scripted->answer.path);
    g_free((char *)scripted->answer.body);
    g_free((char *)scripted->answer.headers);
    g_free((char *)scripted->answer.raw);
    g_free(scripted);
}

static void
request_free(void *data)
{
    FakeRequest *request = data;

    g_free(request->method);
    g_free(request->path);
    g_free(request->body);
    g_hash_table_unref(request->headers);
    g_free(request);
}

/* ---- reading ---- */

/* False when the peer has closed. */
static bool
read_more(Connection *connection)
{
    char buffer[65536];
    ssize_t n = recv(connection->socket, buffer, sizeof(buffer), 0);

    if (n <= 0)
        return false;
    g_string_append_len(connection->input, buffer, n);
    return true;
}

static char *
read_until(Connection *connection, const char *mark)
{
    const char *end;
    char *text;

    while (!(end = strstr(connection->input->str, mark)))
        if (!read_more(connection))
            return NULL;
    text = g_strndup(connection->input->str, (gsize)(end - connection->input->str));
    g_string_erase(connection->input, 0, (gssize)(strlen(text) + strlen(mark)));
    return text;
}

static char *
read_bytes(Connection *connection, size_t length)
{
    char *text;

    while (connection->input->len < length)
        if (!read_more(connection))
            return NULL;
    text = g_strndup(connection->input->str, length);
    g_string_erase(connection->input, 0, (gssize)length);
    return text;
}

static char *
read_chunks(Connection *connection)
{
    GString *body = g_string_new(NULL);

    for (;;) {
        g_autofree char *size = read_until(connection, "\r\n");
        size_t length = size ? strtoul(size, NULL, 16) : 0;
        g_autofree char *chunk = length ? read_bytes(connection, length) : NULL;
        g_autofree char *end = read_until(connection, "\r\n");

        if (!chunk)
            return g_string_free(body, FALSE);
        g_string_append_len(body, chunk, (gssize)length);
    }
}

static void
parse_headers(FakeRequest *request, char **lines)
{
    for (size_t i = 1; lines[0] && lines[i]; i++) {
        char *colon = strchr(lines[i], ':');

        if (colon)
            g_hash_table_replace(request->headers, g_ascii_strdown(lines[i], colon - lines[i]),
                                 g_strstrip(g_strdup(colon + 1)));
    }
}

/* NULL when the peer has closed. */
static FakeRequest *
read_request(Connection *connection)
{
    g_autofree char *head = read_until(connection, "\r\n\r\n");
    g_auto(GStrv) lines = head ? g_strsplit(head, "\r\n", -1) : NULL;
    g_auto(GStrv) words = head ? g_strsplit(lines[0], " ", 3) : NULL;
    FakeRequest *request;
    const char *length;

    if (!head || g_strv_length(words) < 2)
        return NULL;
    request = g_new0(FakeRequest, 1);
    request->headers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    request->method = g_strdup(words[0]);
    request->path = g_strdup(words[1]);
    parse_headers(request, lines);
    length = g_hash_table_lookup(request->headers, "content-length");
    if (g_hash_table_contains(request->headers, "transfer-encoding"))
        request->body = read_chunks(connection);
    else
        request->body = read_bytes(connection, length ? strtoul(length, NULL, 10) : 0);
    return request;
}

/* ---- answering ---- */

static bool
path_matches(const char *pattern, const char *path)
{
    size_t length = pattern ? strlen(pattern) : 0;

    if (!pattern)
        return true;
    if (length > 0 && pattern[length - 1] == '*')
        return strncmp(pattern, path, length - 1) == 0;
    return strcmp(pattern, path) == 0;
}

/* With the lock held. */
static const Scripted *
take_answer(FakeHttp *fake, const FakeRequest *request)
{
    for (guint i = 0; i < fake->answers->len; i++) {
        Scripted *scripted = g_ptr_array_index(fake->answers, i);
        const FakeAnswer *answer = &scripted->answer;

        if (scripted->left == 0 || !path_matches(answer->path, request->path) ||
            (answer->method && strcmp(answer->method, request->method) != 0))
            continue;
        if (scripted->left > 0)
            scripted->left--;
        return scripted;
    }
    fake->n_unexpected++;
    return NULL;
}

static void
send_text(int socket, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t n = send(socket, text, length, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        text += n;
        length -= (size_t)n;
    }
}

/* False: close the connection. */
static bool
send_answer(int socket, const FakeRequest *request, const FakeAnswer *answer)
{
    const char *body = answer && answer->body ? answer->body : "";
    const char *headers = answer && answer->headers ? answer->headers : "";
    int status = !answer ? 404 : answer->status ? answer->status : 200;
    const char *type = "Content-Type: application/json\r\n";
    g_autofree char *text = NULL;

    if (answer && answer->delay_ms)
        g_usleep((gulong)answer->delay_ms * 1000);
    if (answer && answer->raw) {
        send_text(socket, answer->raw, strlen(answer->raw));
        return false;
    }
    if (strcasestr(headers, "content-type:"))
        type = "";
    if (status == 204)
        body = "";
    /* In one piece: two would wait for each other (Nagle, delayed acknowledgement). */
    text = g_strdup_printf("HTTP/1.1 %d Scripted\r\n%s%sContent-Length: %zu\r\n\r\n%s", status,
                           headers, type, strlen(body),
                           strcmp(request->method, "HEAD") == 0 ? "" : body);
    send_text(socket, text, strlen(text));
    return true;
}

static void *
serve(void *data)
{
    Connection *connection = data;
    FakeHttp *fake = connection->fake;
    FakeRequest *request;
    bool go_on = true;

    while (go_on && (request = read_request(connection))) {
        const Scripted *scripted;

        pthread_mutex_lock(&fake->lock);
        g_ptr_array_add(fake->requests, request);
        scripted = take_answer(fake, request);
        pthread_mutex_unlock(&fake->lock);
        go_on = send_answer(connection->socket, request, scripted ? &scripted->answer : NULL);
    }
    shutdown(connection->socket, SHUT_RDWR);
    return NULL;
}

static void *
accept_all(void *data)
{
    FakeHttp *fake = data;
    int socket;

    while ((socket = accept(fake->listener, NULL, NULL)) >= 0) {
        Connection *connection = g_new0(Connection, 1);

        connection->fake = fake;
        connection->socket = socket;
        connection->input = g_string_new(NULL);
        pthread_mutex_lock(&fake->lock);
        g_ptr_array_add(fake->connections, connection);
        pthread_create(&connection->thread, NULL, serve, connection);
        pthread_mutex_unlock(&fake->lock);
    }
    return NULL;
}

/* ---- what tests call ---- */

FakeHttp *
fake_http_new(void)
{
    FakeHttp *fake = g_new0(FakeHttp, 1);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);

    pthread_mutex_init(&fake->lock, NULL);
    fake->answers = g_ptr_array_new_with_free_func(scripted_free);
    fake->requests = g_ptr_array_new_with_free_func(request_free);
    fake->connections = g_ptr_array_new();
    fake->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fake->listener, (struct sockaddr *)&address, length) < 0 ||
        listen(fake->listener, 16) < 0 ||
        getsockname(fake->listener, (struct sockaddr *)&address, &length) < 0)
        g_error("no loopback port to listen on");
    fake->url = g_strdup_printf("http://127.0.0.1:%u", ntohs(address.sin_port));
    pthread_create(&fake->acceptor, NULL, accept_all, fake);
    return fake;
}

void
fake_http_stop(FakeHttp *fake)
{
    if (fake->is_stopped)
        return;
    fake->is_stopped = true;
    shutdown(fake->listener, SHUT_RDWR);
    pthread_join(fake->acceptor, NULL);
    close(fake->listener);
    for (guint i = 0; i < fake->connections->len; i++) {
        Connection *connection = g_ptr_array_index(fake->connections, i);

        shutdown(connection->socket, SHUT_RDWR);
        pthread_join(connection->thread, NULL);
        close(connection->socket);
    }
}

void
fake_http_free(FakeHttp *fake)
{
    if (!fake)
        return;
    fake_http_stop(fake);
    for (guint i = 0; i < fake->connections->len; i++) {
        Connection *connection = g_ptr_array_index(fake->connections, i);

        g_string_free(connection->input, TRUE);
        g_free(connection);
    }
    g_ptr_array_unref(fake->connections);
    g_ptr_array_unref(fake->requests);
    g_ptr_array_unref(fake->answers);
    pthread_mutex_destroy(&fake->lock);
    g_free(fake->url);
    g_free(fake);
}

const char *
fake_http_url(FakeHttp *fake)
{
    return fake->url;
}

void
fake_http_answer(FakeHttp *fake, const FakeAnswer *answer)
{
    Scripted *scripted = g_new0(Scripted, 1);

    scripted->answer = *answer;
    scripted->answer.method = g_strdup(answer->method);
    scripted->answer.path = g_strdup(answer->path);
    scripted->answer.body = g_strdup(answer->body);
    scripted->answer.headers = g_strdup(answer->headers);
    scripted->answer.raw = g_strdup(answer->raw);
    scripted->left = answer->times ? answer->times : 1;
    pthread_mutex_lock(&fake->lock);
    g_ptr_array_add(fake->answers, scripted);
    pthread_mutex_unlock(&fake->lock);
}

void
fake_http_reply(FakeHttp *fake, const char *method, const char *path, int status,
                const char *body)
{
    FakeAnswer answer = {.method = method, .path = path, .status = status, .body = body};

    fake_http_answer(fake, &answer);
}

static unsigned
read_locked(FakeHttp *fake, const guint *number)
{
    unsigned value;

    pthread_mutex_lock(&fake->lock);
    value = *number;
    pthread_mutex_unlock(&fake->lock);
    return value;
}

unsigned
fake_http_n_requests(FakeHttp *fake)
{
    return read_locked(fake, &fake->requests->len);
}

unsigned
fake_http_n_unexpected(FakeHttp *fake)
{
    return read_locked(fake, &fake->n_unexpected);
}

unsigned
fake_http_n_connections(FakeHttp *fake)
{
    return read_locked(fake, &fake->connections->len);
}

unsigned
fake_http_n_unused(FakeHttp *fake)
{
    unsigned n = 0;

    pthread_mutex_lock(&fake->lock);
    for (guint i = 0; i < fake->answers->len; i++)
        n += ((Scripted *)g_ptr_array_index(fake->answers, i))->left > 0;
    pthread_mutex_unlock(&fake->lock);
    return n;
}

const FakeRequest *
fake_http_request(FakeHttp *fake, int index)
{
    const FakeRequest *request = NULL;

    pthread_mutex_lock(&fake->lock);
    if (index < 0)
        index += (int)fake->requests->len;
    if (index >= 0 && (guint)index < fake->requests->len)
        request = g_ptr_array_index(fake->requests, (guint)index);
    pthread_mutex_unlock(&fake->lock);
    return request;
}

const char *
fake_request_header(const FakeRequest *request, const char *name)
{
    g_autofree char *lower = g_ascii_strdown(name, -1);

    return g_hash_table_lookup(request->headers, lower);
}

json_t *
fake_request_json(const FakeRequest *request)
{
    return json_loads(request->body, JSON_DECODE_ANY, NULL);
}

char *
fake_http_log(FakeHttp *fake)
{
    GString *text = g_string_new(NULL);

    pthread_mutex_lock(&fake->lock);
    for (guint i = 0; i < fake->requests->len; i++) {
        const FakeRequest *request = g_ptr_array_index(fake->requests, i);

        g_string_append_printf(text, "%s %s\n", request->method, request->path);
    }
    pthread_mutex_unlock(&fake->lock);
    return g_string_free(text, FALSE);
}
