/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* In which order host cells are tried: the emptiest first, or the fullest when guests are packed. */

#include "compute/fit/fit.h"

/* Borrowed cells of request->host, as many as it has; g_free(). As they are when the guest needs
 * them all. NULL on error. */
const NumaCell **cell_order_make(const FitRequest *request, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
