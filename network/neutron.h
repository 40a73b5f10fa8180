/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Neutron: the ports of an instance and the network_info made from them (nova.network.neutron.API).
 *
 * Ports are created and deleted as the user, bound as the service user of [neutron]. Any thread
 * may call; operations on one instance's network info are serialised by its uuid, as Nova's lock
 * refresh_cache-<uuid> does. What a function changed and could not finish is undone before it
 * returns an error.
 *
 * Errors: Nova's (PortNotFound, PortInUse, PortNotUsable, PortNotUsableDNS, PortBindingFailed,
 * NetworkNotFound, NetworkAmbiguous, NoMoreFixedIps, FixedIpAlreadyInUse, PortLimitExceeded,
 * SecurityGroupNotFound, Forbidden, Unauthorized, ...); an answer that Nova has no class for is a
 * NovaException with Neutron's text; those of rest.h when Neutron or Keystone do not answer. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/base/request_context.h"
#include "agent/control/conductor.h"
#include "agent/control/keystone.h"
#include "agent/objects/instance.h"
#include "agent/objects/network_info.h"
#include "agent/objects/network_request.h"
#include "conf/options.h"

typedef struct Neutron Neutron;

Neutron *neutron_new(Keystone *keystone, Conductor *conductor, const Options *options);
void neutron_free(Neutron *neutron);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Neutron, neutron_free)

typedef struct NeutronAllocation {
    NetworkRequestList *requested;     /* NULL or empty: the project's only network */
    const GPtrArray *security_groups;  /* of char *, names or ids; NULL: default */
    const char *host;                  /* binding:host_id */
    json_t *provider_mapping;          /* {port or group id: [provider uuid]}; NULL: none */
    json_t *pci_profiles;              /* {pci request id: binding:profile entries}; NULL: none */
} NeutronAllocation;

/* Validates, creates and binds the ports, records VirtualInterfaces and saves instance->info_cache.
 * Returns the VIFs of this call (an attach: only the new ones). */
NetworkInfo *neutron_allocate_for_instance(Neutron *neutron, const RequestContext *ctx,
                                           Instance *instance, const NeutronAllocation *what,
                                           NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Unbinds the ports that were given (in 'requested', may be NULL, or marked preserve_on_delete in
 * the cache), deletes the others and the VirtualInterfaces, empties instance->info_cache. */
bool neutron_deallocate_for_instance(Neutron *neutron, const RequestContext *ctx,
                                     Instance *instance, const NetworkRequestList *requested,
                                     NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Detach of one port: unbinds or deletes it. *ret_resources (may be NULL) gets the port's
 * {provider: {"resources": {...}}} to take out of the allocation; the caller owns it. Returns
 * the network info that is left. */
NetworkInfo *neutron_deallocate_port(Neutron *neutron, const RequestContext *ctx,
                                     Instance *instance, const char *port_id,
                                     json_t **ret_resources, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* One more address from any subnet of the network, for the server's port there (the first that Neutron
 * agrees to). NetworkNotFoundForInstance. */
NetworkInfo *neutron_add_fixed_ip(Neutron *neutron, const RequestContext *ctx, Instance *instance,
                                  const char *network_id, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* The port that has it keeps its other addresses. FixedIpNotFoundForInstance. */
NetworkInfo *neutron_remove_fixed_ip(Neutron *neutron, const RequestContext *ctx, Instance *instance,
                                     const char *address, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

typedef struct NeutronRefresh {
    const char *port_id; /* only this port of the cache (network-changed); NULL: all */
    bool from_neutron;   /* ports as Neutron has them instead of those in the cache (heal) */
} NeutronRefresh;

/* Builds the network info anew and saves it as instance->info_cache. */
NetworkInfo *neutron_fetch_instance_nw_info(Neutron *neutron, const RequestContext *ctx,
                                            Instance *instance, const NeutronRefresh *how,
                                            NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

typedef struct NeutronRebinding {
    const char *host;
    json_t *provider_mapping; /* {port or group id: [provider uuid]}; NULL: none */
    bool live_migration;      /* the conductor has already bound them */
    json_t *pci_by_port;      /* {port id: binding:profile entries} of SR-IOV ports; NULL: they keep theirs */
    json_t *pci_by_slot;      /* in a move: {pci_slot of an SR-IOV port: entries}, for all; NULL: no move */
} NeutronRebinding;

/* setup_instance_network_on_host(): binds the instance's ports to the host where they are not, or
 * where the binding failed, and to their PCI devices. PortUpdateFailed. */
bool neutron_bind_ports_to_host(Neutron *neutron, const RequestContext *ctx,
                                const Instance *instance, const NeutronRebinding *how,
                                NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* migrate_instance_start(): bindings of the ports for the host that the server moves to become the
 * active ones; ports without such a binding are none of this. PortBindingActivationFailed. */
bool neutron_migrate_instance_start(Neutron *neutron, const RequestContext *ctx,
                                    const Instance *instance, const char *dest_host, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* setup_networks_on_host(teardown=True): the ports forget that they were moving; bindings for
 * 'host' go when the server is at another one. NULL: no binding goes. */
bool neutron_teardown_on_host(Neutron *neutron, const RequestContext *ctx, const Instance *instance,
                              const char *host, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Clears binding and, when 'detach', the owner of ports (of char *). Logs what fails. */
void neutron_unbind_ports(Neutron *neutron, const RequestContext *ctx, const GPtrArray *port_ids,
                          bool detach);

/* What a port needs of the host that it comes to. */
typedef struct PortNeeds {
    json_t *resources; /* of Placement: {"request_groups": [{"id", "resources", "required"}], "same_subtree": [...]};
                        * NULL: nothing */
    json_t *device;    /* of its PCI device: {property: text or null}, a spec of InstancePCIRequest; NULL: it has none */
    char *numa_policy; /* of that device; NULL: the port does not say */
} PortNeeds;

void port_needs_clear(PortNeeds *needs);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PortNeeds, port_needs_clear)

/* PortNotFound. NovaException when no segment of its network is in a physical one, where it needs a device. */
bool neutron_fetch_port_needs(Neutron *neutron, const RequestContext *ctx, const char *port_id, PortNeeds *ret,
                              NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* What all ports of the server were given, by their profiles: {provider: {"resources": {...}}}; the caller's. */
json_t *neutron_fetch_held_resources(Neutron *neutron, const RequestContext *ctx, const Instance *instance,
                                     NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Neutron's JSON of one port, seen as the service user; the caller owns it. */
json_t *neutron_fetch_port(Neutron *neutron, const RequestContext *ctx, const char *port_id,
                           NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* The cached extension list ([neutron]extension_sync_interval) has this alias. */
bool neutron_has_extension(Neutron *neutron, const RequestContext *ctx, const char *alias,
                           bool *ret_has, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
