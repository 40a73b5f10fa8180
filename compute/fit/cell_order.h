/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* In which order host cells are tried: the emptiest first, or the fullest when guests are packed. */

#include "compute/fit/fit.h"

typedef struct HostPlace {
    const NumaCell *cell; /* of request->host */
    int64_t rank;         /* by the order that counts most */
    bool is_chosen;       /* for a guest cell; of the search (fit.c) */
} HostPlace;

/* All of the host's cells; g_free(). As they are when the guest needs them all. NULL on error. */
HostPlace *cell_order_make(const FitRequest *request, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
