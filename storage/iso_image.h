/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Small ISO 9660 images with Rock Ridge and Joliet, as
 * "mkisofs -ldots -allow-lowercase -allow-multidot -l -J -r" makes them: files 0444, folders 0555,
 * all owned by root (pure).
 *
 * For trees of a few dozen files whose names we choose ourselves. */

#include <glib.h>
#include <stdint.h>

/* A file on a disk that is being made; the path is relative, with '/' between folders. */
typedef struct DiskFile {
    char *path;
    GBytes *data;
} DiskFile;

DiskFile *disk_file_new(const char *path, GBytes *data); /* takes ownership of data */
void disk_file_free(DiskFile *file);

/* 'files' of DiskFile: names of at most 27 ASCII characters, at most 7 folders deep, none twice.
 * 'now' in seconds since 1970; labels in ASCII. Caller unrefs. */
GByteArray *iso_image_make(const GPtrArray *files, const char *volume_id, const char *publisher,
                           int64_t now);
