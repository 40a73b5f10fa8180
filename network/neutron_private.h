/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the neutron_*.c files share. Lists of VIFs are JSON in here: Nova's network_info cache. */

#include <pthread.h>

#include "agent/base/key_lock.h"
#include "agent/control/rest.h"
#include "agent/objects/virtual_interface.h"
#include "network/neutron.h"

struct Neutron {
    RestClient *rest;        /* immutable, as the next three */
    Conductor *conductor;
    const Options *options;
    KeyLock *instances;      /* by uuid: whose network info is being worked on */
    pthread_mutex_t lock;    /* of all below */
    GHashTable *extensions;  /* aliases; NULL: never asked */
    gint64 extensions_at_us; /* monotonic */
};

/* Who asks: every operation has one of these. All borrowed. */
typedef struct NeutronCaller {
    Neutron *neutron;
    const RequestContext *ctx;
    Instance *instance; /* NULL where none is concerned */
} NeutronCaller;

/* ---- neutron.c: requests ---- */

typedef enum NeutronIdentity { AS_USER, AS_ADMIN } NeutronIdentity;

/* Any answer but 401 and 403, which are errors of Nova's. */
HttpResponse *neutron_send(const NeutronCaller *caller, NeutronIdentity identity,
                           const char *method, const char *path, json_t *body, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool neutron_is_ok(const HttpResponse *response);
/* Sets NovaException with Neutron's text; false. */
bool neutron_refused(const HttpResponse *response, const char *what, NovaError **err);

/* The list or object under 'key' of an answer to GET; new reference. */
json_t *neutron_fetch_list(const NeutronCaller *caller, NeutronIdentity identity,
                           const char *path, const char *key, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
json_t *neutron_fetch_object(const NeutronCaller *caller, NeutronIdentity identity,
                             const char *path, const char *key, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* GET /ports/ID as admin; 'fields' is a query or "". PortNotFound. */
json_t *neutron_show_port(const NeutronCaller *caller, const char *port_id, const char *fields,
                          NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* The network as far as it says where it is, for neutron_model_physical(); new reference. */
json_t *neutron_fetch_provider(const NeutronCaller *caller, const char *network_id, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Its guest gets a PCI device, or a part of one. */
bool neutron_is_sriov(const json_t *port);

/* "/ports/" + encoded id. */
char *neutron_path(const char *collection, const char *id);
/* Appends "?name=value" or "&name=value", encoded. */
void neutron_add_query(GString *path, const char *name, const char *value);

bool neutron_extension(const NeutronCaller *caller, NeutronIdentity identity, const char *alias,
                       bool *ret_has, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Nova's lock refresh_cache-<uuid>: waits until nobody else works on the instance. */
void neutron_lock_instance(Neutron *neutron, const char *uuid);
void neutron_unlock_instance(Neutron *neutron, const char *uuid);

/* ---- neutron_records.c: what the control plane keeps ---- */

/* The cache of instance->info_cache as JSON; new reference, empty when there is none. */
json_t *neutron_cached_vifs(const Instance *instance);
/* Reads the cache anew from the database into instance->info_cache. */
bool neutron_refresh_cache(const NeutronCaller *caller, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Saves it there, and in instance->info_cache. */
bool neutron_save_cache(const NeutronCaller *caller, json_t *vifs, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
NetworkInfo *neutron_network_info(json_t *vifs, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* A VirtualInterface row: *ret_row is for neutron_destroy_vif_row(). */
bool neutron_create_vif_row(const NeutronCaller *caller, const json_t *port, const char *tag,
                            VirtualInterface **ret_row, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool neutron_destroy_vif_row(const NeutronCaller *caller, VirtualInterface *row, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* The row of a port if there is one; NULL without error: none. */
bool neutron_delete_vif_row_of_port(const NeutronCaller *caller, const char *port_id,
                                    NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool neutron_delete_vif_rows(const NeutronCaller *caller, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Port ids in the order of the rows. */
GPtrArray *neutron_vif_row_order(const NeutronCaller *caller, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* ---- neutron_info.c: building the network info ---- */

typedef struct NeutronBuild {
    const json_t *networks;        /* those of this operation; NULL: all from the cache */
    const GPtrArray *port_ids;     /* those of this operation; NULL: all from the cache */
    const GPtrArray *given;        /* ports to be preserved besides the cache's; NULL: none */
    const char *refresh_port_id;   /* only this one of the cache; NULL: all */
    bool from_neutron;
} NeutronBuild;

/* With the instance's lock held: the VIFs of the instance, new reference; saved in the cache. */
json_t *neutron_build_and_save(const NeutronCaller *caller, const NeutronBuild *build,
                               NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Networks with these ids (of char *, duplicates allowed); empty for no ids. New reference. */
json_t *neutron_fetch_networks(const NeutronCaller *caller, NeutronIdentity identity,
                               const GPtrArray *ids, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Ids of cached VIFs marked preserve_on_delete; the strings are borrowed from 'vifs'. */
GPtrArray *neutron_preexisting_ports(const json_t *vifs);
json_t *neutron_find_by_id(const json_t *list, const char *id); /* borrowed; NULL: none */

/* ---- neutron_resources.c ---- */

/* Does the port, as an admin sees it, ask for resources, and in groups ("port-resource-request-groups")? */
bool neutron_has_resource_request(const NeutronCaller *caller, const json_t *port, bool *ret_has,
                                  bool *ret_extended, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* What a bound port's profile says under "allocation"; *ret_allocation is NULL for a port that asks
 * for nothing, else a new reference. PortUpdateFailed when 'mapping' lacks its provider. */
bool neutron_port_allocation(const NeutronCaller *caller, const json_t *port, json_t *mapping,
                             json_t **ret_allocation, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Adds what the port was allocated to {provider: {"resources": {...}}}; NULL: no port. */
void neutron_add_port_resources(json_t *resources, const json_t *port);

/* ---- neutron_ports.c ---- */

/* DELETE of each as the user; all are tried. False: the first failure when err is wanted. */
bool neutron_delete_ports(const NeutronCaller *caller, const GPtrArray *port_ids,
                          NovaError **err);
bool neutron_has_id(const GPtrArray *ids, const char *id);
