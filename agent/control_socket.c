/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.control_socket"
#include "agent/control_socket.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "agent/base/log.h"

#define MAX_LINE_BYTES (64 * 1024)
#define MAX_ANSWER_BYTES (64 * 1024 * 1024)
#define MAX_CLIENTS 8
#define CLIENT_TIMEOUT_S 5
/* 'verify' asks every service. */
#define ANSWER_TIMEOUT_S 300

struct ControlSocket {
    char *path; /* immutable, these */
    const ControlCommand *commands;
    void *user;
    int fd;
    int stop_fd;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    unsigned n_clients; /* guarded by lock */
};

typedef struct Client {
    ControlSocket *socket;
    int fd;
} Client;

/* ---- lines ---- */

static void
set_timeout(int fd, int seconds)
{
    struct timeval limit = {.tv_sec = seconds};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

/* One line without its end; NULL with errno set when none came. */
static GString *
read_line(int fd, size_t max_bytes)
{
    GString *line = g_string_new(NULL);
    char buffer[4096];

    while (line->len <= max_bytes) {
        ssize_t n = recv(fd, buffer, sizeof buffer, 0);
        const char *end = n > 0 ? memchr(buffer, '\n', (size_t)n) : NULL;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        g_string_append_len(line, buffer, end ? end - buffer : n);
        if (end)
            return line;
    }
    g_string_free(line, TRUE);
    return NULL;
}

static bool
write_line(int fd, const json_t *value)
{
    g_autofree char *text = json_to_text(value);
    g_autofree char *line = g_strconcat(text, "\n", NULL);
    size_t length = strlen(line), at = 0;

    while (at < length) {
        ssize_t n = send(fd, line + at, length - at, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

/* ---- a client ---- */

static json_t *
carry_out(ControlSocket *control, const json_t *request, NovaError **err)
{
    const char *name = json_get_string(request, "command", NULL);

    if (!name) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "a request is an object with a \"command\"");
        return NULL;
    }
    for (const ControlCommand *command = control->commands; command->name; command++)
        if (strcmp(command->name, name) == 0)
            return command->run(control->user, request, err);
    nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "there is no command \"%s\"", name);
    return NULL;
}

static json_t *
answer(ControlSocket *control, const GString *line)
{
    g_autoptr(NovaError) error = NULL;
    json_auto_t *request = line ? json_parse(line->str, line->len, &error) : NULL;
    json_t *result = NULL;

    if (!line)
        nova_error_set(&error, NOVA_ERROR_VALUE_ERROR, "no line of at most %d bytes came",
                       MAX_LINE_BYTES);
    if (request)
        result = carry_out(control, request, &error);
    return result ? json_pack("{s:o}", "result", result)
                  : json_pack("{s:s}", "error", nova_error_details(error));
}

static void *
serve_client(void *user)
{
    Client *client = user;
    ControlSocket *control = client->socket;
    GString *line;
    json_t *said;

    pthread_setname_np(pthread_self(), "control-client");
    set_timeout(client->fd, CLIENT_TIMEOUT_S);
    line = read_line(client->fd, MAX_LINE_BYTES);
    said = answer(control, line);
    if (!write_line(client->fd, said))
        LOG_DEBUG("a client did not wait for its answer");
    json_decref(said);
    if (line)
        g_string_free(line, TRUE);
    close(client->fd);
    g_free(client);
    pthread_mutex_lock(&control->lock);
    control->n_clients--;
    pthread_cond_broadcast(&control->ended);
    pthread_mutex_unlock(&control->lock);
    return NULL;
}

static bool
has_room(ControlSocket *control)
{
    bool has;

    pthread_mutex_lock(&control->lock);
    has = control->n_clients < MAX_CLIENTS;
    control->n_clients += has;
    pthread_mutex_unlock(&control->lock);
    return has;
}

static void
start_client(ControlSocket *control, int fd)
{
    pthread_attr_t attr;
    pthread_t thread;
    Client *client;

    if (!has_room(control)) {
        close(fd);
        return;
    }
    client = g_new(Client, 1);
    *client = (Client){control, fd};
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attr, serve_client, client) != 0)
        serve_client(client);
    pthread_attr_destroy(&attr);
}

static void *
run_socket(void *user)
{
    ControlSocket *control = user;
    struct pollfd fds[] = {{control->fd, POLLIN, 0}, {control->stop_fd, POLLIN, 0}};

    pthread_setname_np(pthread_self(), "control");
    for (;;) {
        int fd;

        if (poll(fds, G_N_ELEMENTS(fds), -1) < 0 && errno != EINTR)
            return NULL;
        if (fds[1].revents)
            return NULL;
        fd = fds[0].revents ? accept4(control->fd, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (fd >= 0)
            start_client(control, fd);
    }
}

/* ---- making and ending ---- */

static bool
fill_address(const char *path, struct sockaddr_un *address, NovaError **err)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address->sun_path))
        return nova_error_set(err, NOVA_ERROR_INVALID_CONFIGURATION, "%s: too long for a socket", path);
    strcpy(address->sun_path, path);
    return true;
}

static bool
os_failed(const char *path, NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_INVALID_CONFIGURATION, "%s: %s", path, g_strerror(errno));
}

/* The folder's group may use it: nova's, where the agent runs as root, too. */
static void
give_to_group(const char *path)
{
    g_autofree char *folder = g_path_get_dirname(path);
    struct stat status;

    if (stat(folder, &status) < 0 || chown(path, (uid_t)-1, status.st_gid) < 0)
        LOG_DEBUG("%s stays with this process' group", path);
}

static bool
listen_at(ControlSocket *control, NovaError **err)
{
    struct sockaddr_un address;
    mode_t mask;
    bool ok;

    if (!fill_address(control->path, &address, err))
        return false;
    control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(control->path);
    mask = umask(0117);
    ok = control->fd >= 0 && bind(control->fd, (struct sockaddr *)&address, sizeof address) == 0;
    umask(mask);
    if (!ok || listen(control->fd, MAX_CLIENTS) < 0)
        return os_failed(control->path, err);
    give_to_group(control->path);
    return true;
}

ControlSocket *
control_socket_new(const char *path, const ControlCommand *commands, void *user, NovaError **err)
{
    ControlSocket *control = g_new0(ControlSocket, 1);

    control->path = g_strdup(path);
    control->commands = commands;
    control->user = user;
    control->stop_fd = eventfd(0, EFD_CLOEXEC);
    pthread_mutex_init(&control->lock, NULL);
    pthread_cond_init(&control->ended, NULL);
    if (listen_at(control, err) && pthread_create(&control->thread, NULL, run_socket, control) == 0)
        return control;
    close(control->fd);
    close(control->stop_fd);
    g_free(control->path);
    g_free(control);
    return NULL;
}

void
control_socket_free(ControlSocket *control)
{
    if (!control)
        return;
    if (eventfd_write(control->stop_fd, 1) == 0)
        pthread_join(control->thread, NULL);
    unlink(control->path);
    pthread_mutex_lock(&control->lock);
    while (control->n_clients > 0)
        pthread_cond_wait(&control->ended, &control->lock);
    pthread_mutex_unlock(&control->lock);
    close(control->fd);
    close(control->stop_fd);
    pthread_mutex_destroy(&control->lock);
    pthread_cond_destroy(&control->ended);
    g_free(control->path);
    g_free(control);
}

/* ---- the client's side ---- */

static int
connect_to(const char *path, NovaError **err)
{
    struct sockaddr_un address;
    int fd;

    if (!fill_address(path, &address, err))
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
        set_timeout(fd, ANSWER_TIMEOUT_S);
        return fd;
    }
    os_failed(path, err);
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Takes ownership of the line. */
static json_t *
read_answer(GString *line, NovaError **err)
{
    json_auto_t *said = line ? json_parse(line->str, line->len, err) : NULL;
    json_t *result = json_object_get(said, "result");

    if (!line)
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "the agent did not answer");
    else if (said && !result)
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "%s", json_get_string(said, "error", "no answer"));
    if (line)
        g_string_free(line, TRUE);
    return result ? json_incref(result) : NULL;
}

json_t *
control_socket_ask(const char *path, const json_t *request, NovaError **err)
{
    int fd = connect_to(path, err);
    json_t *result;

    if (fd < 0)
        return NULL;
    if (!write_line(fd, request)) {
        os_failed(path, err);
        result = NULL;
    } else {
        result = read_answer(read_line(fd, MAX_ANSWER_BYTES), err);
    }
    close(fd);
    return result;
}
