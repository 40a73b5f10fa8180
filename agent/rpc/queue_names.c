/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rpc/queue_names.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/rpc/rpc_message.h"

#define LOG_NAME "kilonova.rpc.queue_names"

/* Field 22 of /proc/<process group>/stat; the name in field 2 may hold blanks. */
static long long
generation_start_time(int group)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", group > 0 ? group : (int)getpid());
    g_autofree char *text = NULL;
    const char *rest;
    g_auto(GStrv) fields = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL) || !(rest = strrchr(text, ')')) || !rest[1])
        return 0;
    fields = g_strsplit(rest + 2, " ", -1);
    return g_strv_length(fields) > 19 ? g_ascii_strtoll(fields[19], NULL, 10) : 0;
}

static unsigned
next_count(const char *path)
{
    int group = getpgrp(), old_group;
    long long start = generation_start_time(group), old_start;
    unsigned count = 0;
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL) ||
        sscanf(text, "%d:%u:%lld", &old_group, &count, &old_start) != 3)
        count = 0;
    else if (old_group != group || old_start != start)
        count = 0;
    count++;
    g_free(text);
    text = g_strdup_printf("%d:%u:%lld", group, count, start);
    if (!g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0644, NULL))
        LOG_WARNING("%s cannot be written: queue names may be taken twice", path);
    return count;
}

/* oslo_concurrency's external lock is a file of that name, prefixed by nobody. */
static int
take_lock(const TransportSettings *settings)
{
    g_autofree char *name = g_strdup_printf("oslo_read_shm_%s_%s", settings->queue_hostname,
                                            settings->queue_processname);
    g_autofree char *path = g_build_filename(settings->lock_path ? settings->lock_path : "/tmp",
                                             name, NULL);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

    if (fd >= 0 && lockf(fd, F_LOCK, 0) != 0)
        LOG_WARNING("%s cannot be locked: queue names may be taken twice", path);
    return fd;
}

char *
queue_names_make(const TransportSettings *settings, const char *prefix)
{
    g_autofree char *path = NULL;
    unsigned count;
    int fd;

    if (!settings->use_queue_manager) {
        g_autofree char *id = rpc_new_id();

        return g_strconcat(prefix, id, NULL);
    }
    path = g_strdup_printf("/dev/shm/%s_%s_qmanager", settings->queue_hostname,
                           settings->queue_processname);
    fd = take_lock(settings);
    count = next_count(path);
    if (fd >= 0)
        close(fd);
    return g_strdup_printf("%s%s:%s:%u", prefix, settings->queue_hostname,
                           settings->queue_processname, count);
}
