/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One guest cell on one host cell: memory, CPUs, over-commit. */

#include "compute/fit/fit.h"

/* Whether the guest cell fits. It is changed while that is tried, as Nova does: its page size
 * becomes a concrete one, its id and pins are the host cell's.
 * 'n_reserved' CPUs are wanted for the emulator. */
bool cell_fit(const FitRequest *request, const NumaCell *host, InstanceCell *cell, int64_t n_reserved,
              bool *ret_fits, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Enough memory, in pages if the host counts them? */
bool cell_fit_memory(const FitRequest *request, const NumaCell *host, InstanceCell *cell,
                     bool *ret_fits, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Pins the cell's dedicated vCPUs to hardware threads by its thread policy. */
bool cell_pack(const FitRequest *request, const NumaCell *host, InstanceCell *cell,
               int64_t n_reserved, bool *ret_fits, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
