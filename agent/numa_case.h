/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The members of a case of `kilonovactl numa`, decoded; one that is not there is Python's KeyError
 * where the operation cannot do without it. */

#include "agent/objects/image_meta.h"
#include "compute/fit/fit.h"
#include "compute/fit/guest_request.h"
#include "compute/fit/pci_units.h"

typedef struct NumaCase {
    const json_t *json;
    Flavor *flavor;
    ImageMeta *image;
    GuestRequest request;
    HostNuma *host;
    InstanceNuma *instance;
    FitLimits *limits;
    GPtrArray *pci_requests; /* NULL: null */
    PciPools *pools;         /* NULL: null */
    GPtrArray *specs;        /* of PciSpec */
    GPtrArray *units;        /* of PciUnit */
    int64_t *cell_ids;
    PciCells cells;
    bool has_cells;          /* false: numa_cell_ids is null */
    PciSysfs sysfs;
} NumaCase;

void numa_case_clear(NumaCase *one);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(NumaCase, numa_case_clear)

/* KeyError when it is not there. */
bool numa_case_need(const NumaCase *one, const char *key, const json_t **ret_value, NovaError **err);
/* An option of nova.conf that the case sets; NULL: it has its default. */
const json_t *numa_case_option(const NumaCase *one, const char *name);

/* Flavor and image, as 'request'. */
bool numa_case_read_request(NumaCase *one, NovaError **err);
bool numa_case_read_host(NumaCase *one, NovaError **err);
bool numa_case_read_instance(NumaCase *one, NovaError **err);
bool numa_case_read_limits(NumaCase *one, NovaError **err);
bool numa_case_read_pci_requests(NumaCase *one, NovaError **err);
/* "pci_stats", a PciDevicePoolList. */
bool numa_case_read_pci_stats(NumaCase *one, NovaError **err);
/* "pools", a list of dicts. */
bool numa_case_read_pools(NumaCase *one, NovaError **err);
/* "numa_cell_ids". */
bool numa_case_read_cells(NumaCase *one, NovaError **err);
/* Pools of all "devices" that a [pci]device_spec lets guests have. */
bool numa_case_track_devices(NumaCase *one, NovaError **err);
/* All that a fit needs. */
bool numa_case_read_fit(NumaCase *one, FitRequest *request, NovaError **err);
/* "sysfs" in place of the host's. */
void numa_case_use_sysfs(NumaCase *one);
