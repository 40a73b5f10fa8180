/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/disk_info.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/fail_point.h"
#include "agent/base/json.h"
#include "storage/image_errors.h"

static char *
file_of(const char *folder)
{
    return g_build_filename(folder, "disk.info", NULL);
}

/* An empty object when there is no file. NULL on failure. */
static json_t *
load(const char *file, NovaError **err)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) failure = NULL;
    g_autoptr(NovaError) problem = NULL;
    json_t *entries;

    if (!g_file_get_contents(file, &text, NULL, &failure)) {
        if (g_error_matches(failure, G_FILE_ERROR, G_FILE_ERROR_NOENT))
            return json_object();
        image_errors_disk_info_failed(err, errno, file);
        return NULL;
    }
    g_strstrip(text);
    if (!text[0])
        return json_object();
    entries = json_parse(text, strlen(text), &problem);
    if (json_is_object(entries))
        return entries;
    json_decref(entries);
    image_errors_invalid_disk_info(err, "Could not load line %s, got error %s", text,
                                   problem ? nova_error_message(problem) : "not an object");
    return NULL;
}

static bool
write_file(const char *path, const char *text)
{
    size_t length = strlen(text);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    bool is_written;

    if (fd < 0)
        return false;
    is_written = write(fd, text, length) == (ssize_t)length;
    return close(fd) == 0 && is_written;
}

static bool
store(const char *file, const json_t *entries, NovaError **err)
{
    g_autofree char *json = json_to_python_text(entries);
    g_autofree char *line = g_strconcat(json, "\n", NULL);
    g_autofree char *temporary = g_strconcat(file, ".tmp", NULL);

    FAIL_POINT("disk_info.write:before", NULL);
    if (write_file(temporary, line) && rename(temporary, file) == 0) {
        FAIL_POINT("disk_info.write:after", NULL);
        return true;
    }
    image_errors_disk_info_failed(err, errno, file);
    unlink(temporary);
    return false;
}

bool
disk_info_read(const char *folder, const char *path, char **ret_format, NovaError **err)
{
    g_autofree char *file = file_of(folder);
    json_auto_t *entries = load(file, err);

    if (!entries)
        return false;
    *ret_format = g_strdup(json_get_string(entries, path, NULL));
    return true;
}

bool
disk_info_add(const char *folder, const char *path, const char *format, NovaError **err)
{
    g_autofree char *file = file_of(folder);
    json_auto_t *entries = load(file, err);
    const char *recorded;

    if (!entries)
        return false;
    recorded = json_get_string(entries, path, NULL);
    if (recorded && g_str_equal(recorded, format))
        return true;
    if (recorded)
        return image_errors_invalid_disk_info(err, "Attempted overwrite of an existing value.");
    json_set_string(entries, path, format);
    return store(file, entries, err);
}

bool
disk_info_remove(const char *folder, const char *path, NovaError **err)
{
    g_autofree char *file = file_of(folder);
    json_auto_t *entries = load(file, err);

    if (!entries)
        return false;
    if (json_object_del(entries, path) < 0)
        return true;
    return store(file, entries, err);
}
