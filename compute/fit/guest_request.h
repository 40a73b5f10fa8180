/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What flavor extra specs and image properties ask for, and how the two are reconciled
 * (the constraint functions of nova.virt.hardware). Pure; everything returned is borrowed from the
 * flavor or the image unless said otherwise. Errors are Nova's classes with Nova's text. */

#include <glib.h>
#include <inttypes.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/base/python_text.h"
#include "agent/objects/flavor.h"
#include "agent/objects/image_meta.h"
#include "agent/base/cpu_set.h"

typedef enum Tristate { TRISTATE_UNSET = -1, TRISTATE_FALSE = 0, TRISTATE_TRUE = 1 } Tristate;

typedef struct GuestRequest {
    const Flavor *flavor;
    const ImageMeta *image;
} GuestRequest;

/* NULL when unset; request_flavor_truthy() also when empty. */
const char *request_flavor(const GuestRequest *request, const char *key);
const char *request_flavor_truthy(const GuestRequest *request, const char *key);
const char *request_image(const GuestRequest *request, const char *key);
Tristate request_image_bool(const GuestRequest *request, const char *key);
/* Borrowed; NULL when unset. */
const json_t *request_image_list(const GuestRequest *request, const char *key);
/* 'fallback' when unset. */
int64_t request_image_int(const GuestRequest *request, const char *key, int64_t fallback);

/* flavor "PREFIX:KEY" or image "PREFIX_KEY"; FlavorImageConflict when both are there and differ. */
bool request_unique(const GuestRequest *request, const char *prefix, const char *key,
                    const char **ret_value, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

typedef struct VtpmRequest {
    const char *version; /* NULL: no TPM */
    const char *model;
} VtpmRequest;

typedef enum MemoryEncryption {
    MEMORY_ENCRYPTION_NONE,
    MEMORY_ENCRYPTION_SEV,
    MEMORY_ENCRYPTION_SEV_ES,
    MEMORY_ENCRYPTION_SEV_SNP,
    MEMORY_ENCRYPTION_TDX,
} MemoryEncryption;

typedef struct CpuTopology {
    int64_t sockets, cores, threads;
} CpuTopology;

bool request_cpu_topology(const GuestRequest *request, bool allow_threads,
                          CpuTopology *ret_topology, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool request_serial_ports(const GuestRequest *request, int64_t *ret_count, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* The highest vCPU number; below 0 for a flavor without any. */
int64_t request_last_vcpu(const GuestRequest *request);
/* A mask that starts with '^' takes away from all vCPUs. */
bool request_parse_vcpu_mask(const GuestRequest *request, const char *mask, CpuSet *vcpus,
                             NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool request_is_realtime(const GuestRequest *request);
/* Fills 'vcpus' when real time is asked for, leaves it empty otherwise. */
bool request_realtime_cpus(const GuestRequest *request, CpuSet *vcpus, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool request_emulator_threads_policy(const GuestRequest *request, const char **ret_policy,
                                     NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool request_pmu(const GuestRequest *request, Tristate *ret_pmu, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool request_multiqueue(const GuestRequest *request, bool *ret_wanted, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool request_packed_ring(const GuestRequest *request, bool *ret_wanted, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool request_vtpm(const GuestRequest *request, VtpmRequest *ret_vtpm, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* "required", "optional", "disabled" or NULL. */
bool request_secure_boot(const GuestRequest *request, const char **ret_policy, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Whether stateless firmware is asked for; ignored unless the image wants UEFI. */
bool request_stateless_firmware(const GuestRequest *request);
bool request_memory_encryption(const GuestRequest *request, const char *machine_type,
                               MemoryEncryption *ret_model, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool request_locked_memory(const GuestRequest *request, const char *machine_type,
                           bool *ret_locked, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* What Nova's scheduler would say to the flavor without any image. */
bool request_check_flavor(const Flavor *flavor, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool request_sound_model(const GuestRequest *request, const char **ret_model, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool request_usb_model(const GuestRequest *request, const char **ret_model, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool request_redirected_usb_ports(const GuestRequest *request, int64_t *ret_count, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
