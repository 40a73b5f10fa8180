/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/file_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/image_errors.h"

#define BUFFER_SIZE (256 * 1024)

static bool
write_at(int fd, const char *data, size_t length, off_t at)
{
    while (length > 0) {
        ssize_t written = pwrite(fd, data, length, at);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        data += written;
        at += written;
        length -= (size_t)written;
    }
    return true;
}

/* Where the kernel cannot copy between these two files. */
static bool
copy_by_hand(int from, int to, off_t at, off_t end)
{
    g_autofree char *buffer = g_malloc(BUFFER_SIZE);

    while (at < end) {
        ssize_t got = pread(from, buffer, (size_t)MIN(end - at, BUFFER_SIZE), at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        if (!write_at(to, buffer, (size_t)got, at))
            return false;
        at += got;
    }
    return true;
}

static bool
copy_range(int from, int to, off_t at, off_t end)
{
    while (at < end) {
        off_t in = at, out = at;
        ssize_t copied = copy_file_range(from, &in, to, &out, (size_t)(end - at), 0);

        if (copied < 0 && errno == EINTR)
            continue;
        if (copied < 0 && errno != ENOSPC && errno != EDQUOT)
            return copy_by_hand(from, to, at, end);
        if (copied <= 0)
            return copied == 0;
        at += copied;
    }
    return true;
}

static bool
copy_data(int from, int to, off_t size)
{
    off_t end = 0;

    while (end < size) {
        off_t data = lseek(from, end, SEEK_DATA);

        if (data < 0 && errno == ENXIO)
            break;
        if (data < 0)
            return copy_range(from, to, 0, size);
        end = lseek(from, data, SEEK_HOLE);
        if (end < 0)
            end = size;
        if (!copy_range(from, to, data, end))
            return false;
    }
    return true;
}

static bool
copy_open_file(int from, int to)
{
    struct stat status;

    if (ioctl(to, FICLONE, from) == 0)
        return true;
    return fstat(from, &status) == 0 && ftruncate(to, status.st_size) == 0 &&
           copy_data(from, to, status.st_size);
}

bool
file_copy(const char *source, const char *target, NovaError **err)
{
    int from = open(source, O_RDONLY | O_CLOEXEC);
    int to, error;
    bool was_copied;

    if (from < 0)
        return image_errors_os(err, errno, source);
    to = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (to < 0) {
        error = errno;
        close(from);
        return image_errors_os(err, error, target);
    }
    was_copied = copy_open_file(from, to);
    error = errno;
    close(from);
    if (close(to) < 0 && was_copied) {
        error = errno;
        was_copied = false;
    }
    if (was_copied)
        return true;
    unlink(target);
    return image_errors_os(err, error, target);
}
