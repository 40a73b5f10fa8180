/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/console_log.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* nova.virt.libvirt.driver.MAX_CONSOLE_BYTES */
#define MAX_CONSOLE_BYTES (100 * 1024)

/* The end of a file goes before 'log', as far as there is room; false when there is no such file. */
static bool
prepend_end_of(const char *path, GString *log)
{
    size_t room = MAX_CONSOLE_BYTES - log->len;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    g_autofree char *buffer = NULL;
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    buffer = g_malloc(room);
    n = pread(fd, buffer, room, st.st_size > (off_t)room ? st.st_size - (off_t)room : 0);
    close(fd);
    if (n > 0)
        g_string_prepend_len(log, buffer, n);
    return n >= 0;
}

GString *
console_log_read(const char *path)
{
    GString *log = g_string_new(NULL);
    g_autofree char *file = g_strdup(path);

    for (unsigned i = 0; log->len < MAX_CONSOLE_BYTES && prepend_end_of(file, log); i++) {
        g_free(file);
        file = g_strdup_printf("%s.%u", path, i);
    }
    return log;
}

/* Python's int(): what is no number counts as 0. */
static int64_t
number_of(const json_t *value)
{
    int64_t number = 0;

    if (json_is_string(value))
        g_ascii_string_to_signed(json_string_value(value), 10, G_MININT64 + 1, G_MAXINT64, &number, NULL);
    return json_is_integer(value) ? json_integer_value(value) : number;
}

/* Where the last n of the pieces between newlines begin; a negative n leaves out the first ones (a Python slice). */
static size_t
start_of_tail(const GString *log, int64_t n)
{
    const char *at = log->str, *end = log->str + log->len;

    if (n == 0)
        return log->len;
    if (n < 0) {
        while (n < 0 && (at = memchr(at, '\n', end - at))) {
            at++;
            n++;
        }
        return at ? (size_t)(at - log->str) : log->len;
    }
    for (at = end; at > log->str; at--)
        if (at[-1] == '\n' && --n == 0)
            break;
    return at - log->str;
}

json_t *
console_log_text(const GString *log, const json_t *tail_length)
{
    g_autoptr(GString) clean = g_string_sized_new(log->len);
    size_t i = tail_length && !json_is_null(tail_length) ? start_of_tail(log, number_of(tail_length)) : 0;

    for (; i < log->len; i++) {
        if ((unsigned char)log->str[i] < 0x80)
            g_string_append_c(clean, log->str[i]);
        else
            g_string_append(clean, "\xef\xbf\xbd");
    }
    return json_stringn(clean->str, clean->len);
}
