/* SPDX-License-Identifier: Apache-2.0 */
/* Any text is a nova.conf or an error that names a line; what can be parsed gives options, or an
 * error that says what is allowed. */

#include <glib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf/conf_parser.h"
#include "conf/options_load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
parse(const char *text)
{
    g_autoptr(GPtrArray) entries = g_ptr_array_new_with_free_func(conf_entry_free);
    g_autofree char *error = NULL;

    if (conf_parse(text, "nova.conf", entries, &error) != !error ||
        (error && !g_str_has_prefix(error, "nova.conf:")))
        abort();
}

static void
load(const char *path)
{
    g_autoptr(GPtrArray) sources = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    OptionsArguments arguments = {.sources = sources};
    g_autofree char *error = NULL;
    Options *options = NULL;

    g_ptr_array_add(sources, g_strconcat("file:", path, NULL));
    if (options_load(&arguments, &options, warnings, &error) != !error || !options != !!error)
        abort();
    options_free(options);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    int fd = memfd_create("nova.conf", 0);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);

    parse(text);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    load(path);
    close(fd);
    return 0;
}
