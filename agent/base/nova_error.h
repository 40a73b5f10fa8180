/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A failure that can cross the message bus: the caller re-raises it as 'class' from 'module'.
 *
 * A function that can fail takes 'NovaError **err' last and returns false or NULL after setting it;
 * on success it leaves *err alone.  Whoever receives an error either returns it or releases it.
 * A caller may pass err == NULL when it does not care why something failed.
 *
 * The failure's JSON shape is oslo.messaging's serialize_remote_exception(); names, bases and codes
 * are nova.exception's (Nova 26 to 34). Only the thread that holds an error touches it. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

typedef enum NovaErrorKind {
#define NOVA_ERROR(kind, class, base, code, since) NOVA_ERROR_##kind,
#include "agent/base/nova_errors.def"
#undef NOVA_ERROR
    N_NOVA_ERRORS,
} NovaErrorKind;

typedef struct NovaError NovaError;

/* Returns false, so a failing function can end with 'return nova_error_set(...)'. */
bool nova_error_set(NovaError **err, NovaErrorKind kind, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* Puts "text: " before the explanation that goes into logs and a fault's details; the class and
 * its message, which the caller of an RPC sees, stay as they were.  Returns false. */
bool nova_error_prefix(NovaError **err, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* One of the class's constructor parameters (rpc.md 7); text is copied. */
void nova_error_set_kwarg(NovaError *err, const char *name, const char *value);

/* A parameter of any JSON shape; takes ownership of 'value'. */
void nova_error_set_kwarg_json(NovaError *err, const char *name, json_t *value);

/* Gives 'src' to the caller; frees it when err is NULL.  Returns false. */
bool nova_error_propagate(NovaError **err, NovaError *src);

NovaErrorKind nova_error_kind(const NovaError *err);
/* Is it this class or one derived from it (Python's 'except Base')? */
bool nova_error_is(const NovaError *err, NovaErrorKind base);
/* Class name as it is raised: "InstanceNotFound"; for NOVA_ERROR_REMOTE the remote's own name. */
const char *nova_error_class(const NovaError *err);
/* The message alone, as str(exception). */
const char *nova_error_message(const NovaError *err);
/* "prefix: prefix: message", for logs and InstanceFault.details. */
const char *nova_error_details(const NovaError *err);
int nova_error_code(const NovaError *err);
/* Borrowed, NULL when there is no such parameter. */
json_t *nova_error_kwarg(const NovaError *err, const char *name);

/* The exception as serialised for a failed call: {"class", "module", "message", "tb", "args",
 * "kwargs"}.  'release' is the control plane's Nova major version (26 to 34): a class that is
 * younger goes out as its base.  New reference, the caller owns it. */
json_t *nova_error_to_failure(const NovaError *err, int release);

/* A failure that a peer sent: classes of the table get their kind, all others become
 * NOVA_ERROR_REMOTE and keep class and message.  Never NULL, whatever the JSON looks like. */
NovaError *nova_error_from_failure(const json_t *failure);

NovaError *nova_error_copy(const NovaError *err);
void nova_error_free(NovaError *err);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NovaError, nova_error_free)
