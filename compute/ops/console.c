/* SPDX-License-Identifier: Apache-2.0 */
/* The log of the serial console. */
#define LOG_NAME "kilonova.compute.console"
#include "compute/ops/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/guest.h"
#include "storage/disks.h"

/* nova.virt.libvirt.driver.MAX_CONSOLE_BYTES */
#define MAX_CONSOLE_BYTES (100 * 1024)

/* The end of a file, appended to 'text' until that has MAX_CONSOLE_BYTES. */
static bool
append_end_of(const char *path, GString *text)
{
    size_t room = MAX_CONSOLE_BYTES - text->len;
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
        g_string_prepend_len(text, buffer, n);
    return n >= 0;
}

/* virtlogd rotates: what console.log lacks may be at the end of console.log.0. */
static char *
read_console_log(const Options *options, const char *uuid)
{
    g_autofree char *path = disks_path(options, uuid, "console.log");
    g_autofree char *rotated = g_strconcat(path, ".0", NULL);
    GString *text = g_string_new(NULL);

    if (!append_end_of(path, text)) {
        g_string_free(text, TRUE);
        return NULL;
    }
    if (text->len < MAX_CONSOLE_BYTES)
        append_end_of(rotated, text);
    return g_string_free(text, FALSE);
}

/* The last n lines; the last one may lack its newline. */
static const char *
tail_of(const char *text, int64_t n)
{
    const char *at = text + strlen(text);

    if (at > text && at[-1] == '\n')
        at--;
    for (; at > text; at--)
        if (at[-1] == '\n' && --n <= 0)
            break;
    return at;
}

/* Nova: the text decoded as ASCII with replacement characters. */
static json_t *
ascii_json(const char *text)
{
    g_autoptr(GString) clean = g_string_sized_new(strlen(text));

    for (; *text; text++) {
        if ((unsigned char)*text < 0x80)
            g_string_append_c(clean, *text);
        else
            g_string_append(clean, "\xef\xbf\xbd");
    }
    return json_string(clean->str);
}

bool
op_get_console_output(Operation *op, NovaError **err)
{
    const json_t *length = json_object_get(op->args, "tail_length");
    g_autofree char *log = read_console_log(op->host->options, op->instance->uuid);

    LOG_INFO("Get console output");
    if (!log) {
        g_autoptr(Guest) guest = guest_lookup(op->host->hypervisor, op->instance->uuid, err);

        if (!guest)
            return false;
        return nova_error_set(err, NOVA_ERROR_CONSOLE_NOT_AVAILABLE, "Guest does not have a console available.");
    }
    if (length && !json_is_null(length) && !json_is_integer(length)) {
        op->result = json_string("");
        return true;
    }
    op->result = ascii_json(json_is_integer(length) ? tail_of(log, json_integer_value(length)) : log);
    return true;
}
