/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <glib/gstdio.h>

#define OUTPUT_LIMIT (16 * 1024 * 1024)
#define DEFAULT_TIMEOUT_S 600

static atomic_uint_fast64_t started;

uint64_t
command_count(void)
{
    return atomic_load(&started);
}

void
command_result_clear(CommandResult *result)
{
    g_free(result->out);
    g_free(result->errors);
    *result = (CommandResult){0};
}

/* What the child needs, all of it made before the fork: after it only async-signal-safe calls. */
typedef struct Child {
    const char *path;
    char *const *argv;
    char *const *environment;
    const CommandLimits *limits;
    int out;
    int errors;
} Child;

static void
limit(int resource, uint64_t value)
{
    struct rlimit rlimit = {value, value};

    if (value > 0 && setrlimit(resource, &rlimit) < 0)
        _exit(126);
}

static void
reset_signals(void)
{
    sigset_t none;

    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
child_main(const Child *child)
{
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

    setpgid(0, 0);
    if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(child->out, STDOUT_FILENO) < 0 ||
        dup2(child->errors, STDERR_FILENO) < 0)
        _exit(126);
    if (syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */) < 0 && errno != ENOSYS)
        _exit(126);
    reset_signals();
    /* Last: what comes between a limit and execve would be under it, a sanitizer's allocations as well. */
    limit(RLIMIT_AS, child->limits->address_space);
    limit(RLIMIT_CPU, child->limits->cpu_s);
    execve(child->path, child->argv, child->environment);
    _exit(127);
}

/* vfork: the parent's pages are neither copied nor remapped, however large the agent is; the
 * calling thread sleeps until the child has called execve. */
__attribute__((noinline)) static pid_t
spawn(const Child *child)
{
    pid_t pid = vfork();

    if (pid == 0)
        child_main(child);
    return pid;
}

static char **
child_environment(void)
{
    char **environment = g_get_environ();

    environment = g_environ_setenv(environment, "LC_ALL", "C", TRUE);
    return g_environ_unsetenv(environment, "NOTIFY_SOCKET");
}

static void
append_limited(GString *text, const char *data, ssize_t length)
{
    gsize room = OUTPUT_LIMIT - MIN(text->len, OUTPUT_LIMIT);

    g_string_append_len(text, data, MIN((gssize)room, length));
}

/* Reads both pipes until they end; false at the deadline. */
static bool
drain(int fds[2], GString *texts[2], gint64 deadline_us)
{
    struct pollfd polls[2] = {{fds[0], POLLIN, 0}, {fds[1], POLLIN, 0}};
    char buffer[16384];

    while (polls[0].fd >= 0 || polls[1].fd >= 0) {
        gint64 left_ms = (deadline_us - g_get_monotonic_time()) / 1000;

        if (left_ms <= 0)
            return false;
        if (poll(polls, 2, (int)MIN(left_ms, 60000)) < 0 && errno != EINTR)
            return false;
        for (int i = 0; i < 2; i++) {
            ssize_t n;

            if (polls[i].fd < 0 || !polls[i].revents)
                continue;
            n = read(polls[i].fd, buffer, sizeof(buffer));
            if (n > 0)
                append_limited(texts[i], buffer, n);
            else if (n == 0 || errno != EINTR)
                polls[i].fd = -1;
        }
    }
    return true;
}

/* The pipes have ended, so the program is gone or about to go; one that closed them and stays is
 * killed at the deadline. */
static int
reap(pid_t pid, gint64 deadline_us, bool timed_out)
{
    int status = 0;

    while (!timed_out) {
        pid_t got = waitpid(pid, &status, WNOHANG);

        if (got == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        if (got < 0 && errno != EINTR)
            return -1;
        if (g_get_monotonic_time() > deadline_us)
            break;
        g_usleep(500);
    }
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return -1;
}

static bool
start_failed(const char *program, const char *what, NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_PROCESS_EXECUTION_ERROR, "cannot start %s: %s: %s",
                          program, what, g_strerror(errno));
}

static bool
open_pipes(int out[2], int errors[2])
{
    if (pipe2(out, O_CLOEXEC) < 0)
        return false;
    if (pipe2(errors, O_CLOEXEC) == 0)
        return true;
    close(out[0]);
    close(out[1]);
    return false;
}

bool
command_run_unchecked(const char *const *argv, const CommandLimits *limits,
                      CommandResult *ret_result, NovaError **err)
{
    static const CommandLimits no_limits;
    g_autofree char *path = g_find_program_in_path(argv[0]);
    g_auto(GStrv) environment = child_environment();
    GString *texts[2];
    int out[2], errors[2];
    Child child;
    gint64 deadline;
    bool drained;
    pid_t pid;

    if (!limits)
        limits = &no_limits;
    if (!path) {
        errno = ENOENT;
        return start_failed(argv[0], "not found on PATH", err);
    }
    if (!open_pipes(out, errors))
        return start_failed(argv[0], "pipe", err);
    child = (Child){path, (char *const *)argv, environment, limits, out[1], errors[1]};
    deadline = g_get_monotonic_time() +
               (gint64)(limits->timeout_s > 0 ? limits->timeout_s : DEFAULT_TIMEOUT_S) * 1000000;
    pid = spawn(&child);
    close(out[1]);
    close(errors[1]);
    if (pid < 0) {
        close(out[0]);
        close(errors[0]);
        return start_failed(argv[0], "vfork", err);
    }
    atomic_fetch_add(&started, 1);
    texts[0] = g_string_new(NULL);
    texts[1] = g_string_new(NULL);
    drained = drain((int[2]){out[0], errors[0]}, texts, deadline);
    ret_result->exit_status = reap(pid, deadline, !drained);
    close(out[0]);
    close(errors[0]);
    ret_result->out = g_string_free(texts[0], FALSE);
    ret_result->errors = g_string_free(texts[1], FALSE);
    return true;
}

bool
command_run(const char *const *argv, const CommandLimits *limits, CommandResult *ret_result,
            NovaError **err)
{
    g_auto(CommandResult) result = {0};
    g_autofree char *line = NULL;

    if (!command_run_unchecked(argv, limits, &result, err))
        return false;
    if (result.exit_status == 0) {
        *ret_result = result;
        result = (CommandResult){0};
        return true;
    }
    line = g_strjoinv(" ", (char **)argv);
    return nova_error_set(err, NOVA_ERROR_PROCESS_EXECUTION_ERROR,
                          "Unexpected error while running command.\nCommand: %s\nExit code: "
                          "%d\nStdout: '%s'\nStderr: '%s'",
                          line, result.exit_status, result.out, result.errors);
}
