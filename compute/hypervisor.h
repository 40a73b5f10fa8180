/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The connection to libvirtd (nova.virt.libvirt.host.Host).
 *
 * One connection for all threads, with keepalive, so that a dead libvirtd fails calls instead of
 * hanging them. The LIBVIRT thread runs libvirt's event loop: its callbacks only enqueue or wake.
 * A lost connection is opened again by that thread every second, and by any call that needs it. */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"
#include "agent/objects/states.h"
#include "compute/device_wait.h"

typedef struct Hypervisor Hypervisor;

/* What Nova acts on. A guest that suspended itself, or crashed and is kept for inspection, is found
 * by the periodic check of power states. */
typedef enum LifecycleEvent {
    LIFECYCLE_STARTED,
    LIFECYCLE_STOPPED,  /* for whatever reason; told when it has stayed so for 15 s */
    LIFECYCLE_PAUSED,
    LIFECYCLE_MIGRATED, /* paused since it left, or is about to go on elsewhere (post-copy) */
    LIFECYCLE_RESUMED,
} LifecycleEvent;

/* Called in the LIBVIRT thread: must not block and must not call libvirt. */
typedef struct HypervisorCallbacks {
    void (*lifecycle)(const char *uuid, LifecycleEvent event, void *user); /* may be NULL */
    /* libvirt is not there, said once for each time; in the thread that tried. May be NULL. */
    void (*connect_failed)(const NovaError *error, void *user);
    /* 'reason' is NULL when the connection is (again) there. */
    void (*connection)(const char *reason, void *user); /* may be NULL */
    void *user;
} HypervisorCallbacks;

/* Starts the LIBVIRT thread, does not connect yet. 'uri' is copied. */
Hypervisor *hypervisor_new(const char *uri, const HypervisorCallbacks *callbacks);
void hypervisor_free(Hypervisor *hypervisor); /* stops the thread */

/* Connects if there is no connection. HypervisorUnavailable. */
bool hypervisor_connect(Hypervisor *hypervisor, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* libvirt's own host name: the node's name (hypervisor_hostname). Caller frees. */
char *hypervisor_fetch_hostname(Hypervisor *hypervisor, NovaError **err);

/* major * 1000000 + minor * 1000 + micro. */
bool hypervisor_fetch_versions(Hypervisor *hypervisor, uint64_t *ret_libvirt, uint64_t *ret_qemu,
                               NovaError **err);

/* virConnectGetCapabilities(), kept after the first call of a connection. Caller frees. */
char *hypervisor_fetch_capabilities(Hypervisor *hypervisor, NovaError **err);

/* virConnectGetDomainCapabilities(), kept likewise; 'machine' NULL: libvirt's default. */
char *hypervisor_fetch_domain_capabilities(Hypervisor *hypervisor, const char *emulator,
                                           const char *arch, const char *machine,
                                           const char *virt_type, NovaError **err);

/* virConnectBaselineCPU() of one CPU with its features expanded. Caller frees. */
char *hypervisor_fetch_baseline_cpu(Hypervisor *hypervisor, const char *cpu_xml, NovaError **err);

/* Names of the CPU models that libvirt knows for an architecture. */
/* What virConnectCompareHypervisorCPU() says of a <cpu>, where above 0 is: the hypervisor can give it to a guest; also 1
 * where libvirt cannot compare. */
bool hypervisor_compare_cpu(Hypervisor *hypervisor, const char *cpu_xml, int *ret_result, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* A set of names. */
GHashTable *hypervisor_fetch_cpu_models(Hypervisor *hypervisor, const char *arch, NovaError **err);

/* Memory of the host in KiB. */
bool hypervisor_fetch_memory(Hypervisor *hypervisor, uint64_t *ret_total_kib, NovaError **err);

/* Host CPUs that are online, as bits by number; *ret_total is how many exist. */
GArray *hypervisor_fetch_online_cpus(Hypervisor *hypervisor, NovaError **err); /* of int */

/* XML of every PCI, network and vDPA device of the host: a bulk call, then one for each. A device that
 * goes away meanwhile is left out. Owning array of char *. */
GPtrArray *hypervisor_fetch_node_devices(Hypervisor *hypervisor, NovaError **err);

typedef struct DomainSummary {
    char uuid[37];
    char *name;
    PowerState power_state;
    uint64_t vcpus;
} DomainSummary;

/* virDomainState → Nova's power state (nova.virt.libvirt.host.LIBVIRT_POWER_STATE). */
PowerState power_state_of_libvirt(int state);

/* Every defined or running domain, by one bulk call. Array of DomainSummary*, owning. */
GPtrArray *hypervisor_list_domains(Hypervisor *hypervisor, NovaError **err);
/* How many there are. -1 with err set on failure. */
int hypervisor_count_domains(Hypervisor *hypervisor, NovaError **err);

/* As far as we know; asks nobody. */
bool hypervisor_is_connected(Hypervisor *hypervisor);

/* libvirt's handle for guest.c: a new reference; virConnectClose() it. Not for other folders. */
void *hypervisor_ref_connection(Hypervisor *hypervisor, NovaError **err);

/* Blocks until an event of the life or of a block job of any domain arrives after 'serial' was taken, or the deadline
 * (g_get_monotonic_time()). Take the serial first, then look at the domain, then wait. */
uint64_t hypervisor_event_serial(Hypervisor *hypervisor);
bool hypervisor_wait_event(Hypervisor *hypervisor, uint64_t serial, int64_t deadline_us);

/* Who waits for a device to leave a guest; told by libvirt's events. Borrowed. */
DeviceWaits *hypervisor_device_waits(Hypervisor *hypervisor);
