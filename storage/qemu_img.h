/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The program qemu-img, always told the format, never left to guess one (security notes of Nova:
 * CVE-2013-1922, 2015-5162, 2015-7548, 2024-32498, 2026-24708).
 *
 * Every call runs one child and blocks; any thread. Every child has the limits
 * [libvirt]images_cpu_time_limit and images_address_space_limit where Nova sets them (info).
 * Errors: ProcessExecutionError with command and output, unless a function says otherwise. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"

struct Options;

typedef struct QemuImgInfo {
    char *format;
    uint64_t virtual_size; /* bytes */
    uint64_t actual_size;  /* bytes on disk */
    uint64_t cluster_size; /* 0: none */
    char *backing_file;    /* NULL: none */
    char *backing_format;  /* NULL: none, or it was not said when the file was made */
    char *data_file;       /* qcow2's external data file; NULL: none */
    uint64_t payload_offset; /* bytes; of luks: where the encrypted disk begins */
    char *create_type;     /* vmdk's; NULL: none */
    bool is_corrupt;
} QemuImgInfo;

/* --force-share --output=json. 'format' NULL lets qemu detect one: only after the format inspector
 * has accepted the file. 'path' may be "rbd:..."; without that prefix it is a file. DiskNotFound when there is no such file, InvalidDiskInfo when qemu-img
 * fails or talks nonsense. */
bool qemu_img_info(const struct Options *options, const char *path, const char *format,
                   QemuImgInfo *ret_info, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void qemu_img_info_clear(QemuImgInfo *info);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(QemuImgInfo, qemu_img_info_clear)

/* The same from the text that qemu-img printed (pure). */
bool qemu_img_info_from_text(const char *text, const char *path, QemuImgInfo *ret_info,
                             NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* A qcow2 over 'base', whose format is given, never guessed; size 0: the base's; cluster_size 0:
 * qemu's default. 'base' NULL: an empty one. */
bool qemu_img_create_overlay(const char *path, const char *base, const char *base_format,
                             uint64_t size, uint64_t cluster_size, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* 'format' is "raw" or "qcow2", anything else is InvalidDiskFormat. Grows; never shrinks. */
bool qemu_img_resize(const char *path, const char *format, uint64_t size, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Writes through to the disk: cache mode none where 'target' is a block device or its file system
 * knows O_DIRECT, else writeback. ImageUnacceptable("Unable to convert image to ...") with image_id = source. */
bool qemu_img_convert(const char *source, const char *target, const char *source_format,
                      const char *target_format, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* The same; 'compressed' makes small clusters of a qcow2 (snapshot_compression). */
bool qemu_img_extract(const char *source, const char *target, const char *source_format,
                      const char *target_format, bool compressed, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Makes a qcow2 stand on another base of this format without changing what it contains; NULL: on
 * none. */
bool qemu_img_rebase(const char *path, const char *base, const char *base_format, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
