/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a disk image really is, and whether qemu may be let near it.
 *
 * The decisions are those of oslo_utils.imageutils.format_inspector 10.2 (InspectWrapper over all
 * formats) as nova.virt.images.get_image_format() uses it; a differential test compares the two.
 * Nothing is trusted, nothing is executed; of the image only a bounded part is kept in memory.
 *
 * Feed the bytes in order in any pieces, then finish. A FormatInspector belongs to one thread. */

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/nova_error.h"

typedef enum ImageFormat {
    IMAGE_FORMAT_RAW, /* nothing else matched */
    IMAGE_FORMAT_QCOW2,
    IMAGE_FORMAT_VHD,
    IMAGE_FORMAT_VHDX,
    IMAGE_FORMAT_VMDK,
    IMAGE_FORMAT_VDI,
    IMAGE_FORMAT_QED,
    IMAGE_FORMAT_ISO,
    IMAGE_FORMAT_GPT, /* GPT or plain MBR: a whole raw disk */
    IMAGE_FORMAT_LUKS,
    N_IMAGE_FORMATS,
} ImageFormat;

/* oslo's names: "raw", "qcow2", "vhd", ... */
const char *image_format_name(ImageFormat format);
/* False when the name is none of oslo's. */
bool image_format_from_name(const char *name, ImageFormat *ret_format);

typedef struct FormatInspector FormatInspector;

typedef struct FormatVerdict {
    bool is_ambiguous;     /* several formats at once (other than iso with gpt): never acceptable */
    bool is_undecidable;   /* detection itself failed: never acceptable */
    unsigned matches;      /* bit (1 << ImageFormat) for each that matched; raw only alone */
    ImageFormat format;    /* the one to use unless ambiguous; iso wins over gpt */
    bool is_incomplete;    /* matched, but the file ends before everything that must be checked */
    bool is_safe;          /* every safety check passed; false when ambiguous or incomplete */
    const char *violation; /* the first check that failed, static text; NULL when safe */
    uint64_t virtual_size; /* bytes; of raw, gpt, luks: what was fed; 0 when unknown */
    uint32_t cluster_size; /* bytes; of qcow2 only, else 0 */
} FormatVerdict;

FormatInspector *format_inspector_new(void);
void format_inspector_free(FormatInspector *inspector);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FormatInspector, format_inspector_free)

void format_inspector_feed(FormatInspector *inspector, const void *data, size_t length);
/* True as soon as no further byte can change the verdict. */
bool format_inspector_is_decided(const FormatInspector *inspector);
/* No more feeding after this. */
void format_inspector_finish(FormatInspector *inspector, FormatVerdict *ret_verdict);

/* Reads no more of the file than needed (virtual_size of a raw file is its size). OSError when the
 * file cannot be read; what the content is, good or bad, is no error here. */
bool format_inspector_inspect_file(const char *path, FormatVerdict *ret_verdict, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
