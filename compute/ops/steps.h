/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Steps that several operations share: from an instance to a running guest, and back. */

#include "compute/guest.h"
#include "compute/guest_config.h"
#include "compute/operation.h"
#include "storage/config_drive.h"

/* The ports of the instance as its cache has them. */
NetworkInfo *step_cached_network(const Instance *instance, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* The tags of the defined guest's devices, as its metadata tells them, into the record; not saved.
 * 'bdms' of BlockDeviceMapping. */
bool step_note_devices(Host *host, const RequestContext *ctx, Instance *instance,
                       const NetworkInfo *network, const GPtrArray *bdms, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* The same for a device that has come to the running guest, and saved. Nothing is asked for where there is nothing
 * to tell: neither of the device ('is_told_of') nor of those before it. */
bool step_note_new_device(Host *host, const RequestContext *ctx, Instance *instance, bool is_told_of,
                          NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* What a guest is made from, all read from the instance's record and the conductor. */
GuestPlan *step_plan_guest(Host *host, const RequestContext *ctx, Instance *instance,
                           NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* The same from another image, which is owned then (NULL: the record's), with these volumes. */
GuestPlan *step_plan_guest_of(Host *host, const RequestContext *ctx, Instance *instance,
                              ImageMeta *image, VolumeChoice choice, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* request_spec.requested_resources of a message → {port or group id: [provider uuid]}. New
 * reference. */
json_t *step_provider_mapping(const json_t *args);
/* What the scheduler has chosen for the server's PCI requests, noted in them. */
bool step_note_pci_providers(Operation *op, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Makes the missing disk files; what this call made is gone again on failure. */
bool step_create_disks(Host *host, const RequestContext *ctx, const Instance *instance,
                       const GuestPlan *plan, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Defines the domain anew and starts it. 'waiter' NULL: running at once; else it starts paused and
 * runs when the waiter has got its events. VirtualInterfaceCreateException when they stay away and
 * vif_plugging_is_fatal. Before, volumes are connected and the ports are plugged. On failure no domain and
 * no connection is left, or, where the domain cannot be stopped, both. */
typedef struct StartGuest {
    const GuestPlan *plan;
    EventWaiter *waiter;
    /* Between definition and start; may be NULL. */
    bool (*before_start)(void *user, NovaError **err);
    void *user;
    bool stays_off; /* defined, its ports plugged, but not started */
} StartGuest;
bool step_start_guest(Host *host, const RequestContext *ctx, Instance *instance, const StartGuest *start,
                      NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* For ports whose wiring Neutron will report: those of these vnic_types, or (NULL) those that are not up yet. NULL:
 * nobody is to wait. */
EventWaiter *step_expect_plugs(Host *host, const Instance *instance, const NetworkInfo *network, char **vnic_types);

/* Stops the guest (if there is one), forgets its definition and unplugs its ports; its volumes stay
 * connected. Nothing there is a success. */
bool step_destroy_guest(Host *host, const Instance *instance, const NetworkInfo *network,
                        bool keep_firmware_state, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* The same after a failure; 'network' NULL: not known. What goes wrong is logged. False: the guest may still
 * run, and write to its disks. */
bool step_undo_guest(Host *host, const Instance *instance, const NetworkInfo *network)
    G_GNUC_WARN_UNUSED_RESULT;

/* The guest made anew from the record, on the disks that it has: what every start and every hard
 * reboot is. */
bool step_recreate_guest(Host *host, const RequestContext *ctx, Instance *instance, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Once: one that is there stays as it is. 'name' is disk.config or disk.config.rescue. */
bool step_make_config_drive(Host *host, const ConfigDriveInput *input, const char *name, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* All disks and files of the instance on this host; notes in the instance how that went with the files,
 * not saved. False: there are disks outside its folder that stay. */
bool step_remove_files(Host *host, Instance *instance, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Off, crashed or not there. */
bool step_is_off(PowerState state);

/* Stops the guest: asks it to shut down, when 'clean', for as long as image_os_shutdown_timeout or
 * [DEFAULT]shutdown_timeout says, then pulls the plug. No guest is a success. */
bool step_power_off(Host *host, const Instance *instance, bool clean, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* What libvirt says now, as the record keeps it. */
PowerState step_power_state(Host *host, const Instance *instance);
void step_set_power_state(Instance *instance, PowerState state);

/* _error_out_instance_on_exception(): saves 'state' without a task when the failure has changed
 * nothing ('harmless': Nova's InstanceFaultRollback) or is NotImplementedError, else ERROR. */
void step_error_out(Operation *op, bool harmless, VmState state, const NovaError *error);

/* Assigns a task state, or none, and a vm state. */
void step_set_states(Instance *instance, VmState vm_state, TaskState task_state);

/* vm_state ERROR, saved; the task stays. That the record is gone is fine. */
void step_set_error_state(Host *host, const RequestContext *ctx, Instance *instance);

/* The ports as Neutron has them now, into the instance's cache, which is saved. */
NetworkInfo *step_refresh_network(Host *host, const RequestContext *ctx, Instance *instance,
                                  NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Unset fields of the instance that making a guest reads. */
bool step_load_instance(Host *host, const RequestContext *ctx, Instance *instance, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Time as the database keeps it, now; caller frees. */
char *step_now(void);
