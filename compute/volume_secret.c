/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/volume_secret.h"

#include <string.h>

#include "agent/base/fail_point.h"
#include "compute/libvirt_auto.h"

/* *ret_secret is NULL when there is none. */
static bool
lookup(Hypervisor *hypervisor, const char *volume_id, virSecretPtr *ret_secret, NovaError **err)
{
    g_autoptr(virConnect) connection = hypervisor_ref_connection(hypervisor, err);

    if (!connection)
        return false;
    *ret_secret = virSecretLookupByUsage(connection, VIR_SECRET_USAGE_TYPE_VOLUME, volume_id);
    return *ret_secret || libvirt_error_code() == VIR_ERR_NO_SECRET ||
           libvirt_error_set(err, "looking for a volume's secret");
}

bool
volume_secret_find(Hypervisor *hypervisor, const char *volume_id, char **ret_uuid, NovaError **err)
{
    virSecretPtr found = NULL;
    g_autoptr(virSecret) secret = NULL;
    char uuid[VIR_UUID_STRING_BUFLEN];

    if (!lookup(hypervisor, volume_id, &found, err))
        return false;
    secret = found;
    if (secret && virSecretGetUUIDString(secret, uuid) < 0)
        return libvirt_error_set(err, "reading a secret's uuid");
    *ret_uuid = secret ? g_strdup(uuid) : NULL;
    return true;
}

bool
volume_secret_create(Hypervisor *hypervisor, const char *volume_id, const char *passphrase,
                     NovaError **err)
{
    g_autoptr(virConnect) connection = hypervisor_ref_connection(hypervisor, err);
    g_autofree char *xml = g_markup_printf_escaped("<secret ephemeral=\"no\" private=\"no\">"
                                                   "<usage type=\"volume\"><volume>%s</volume></usage>"
                                                   "</secret>", volume_id);
    g_autoptr(virSecret) secret = NULL;

    if (!connection)
        return false;
    FAIL_POINT("volume.secret:before", NULL);
    secret = virSecretDefineXML(connection, xml, 0);
    if (!secret)
        return libvirt_error_set(err, "defining a volume's secret");
    if (virSecretSetValue(secret, (const unsigned char *)passphrase, strlen(passphrase), 0) == 0) {
        FAIL_POINT("volume.secret:after", NULL);
        return true;
    }
    libvirt_error_set(err, "setting a volume's secret");
    virSecretUndefine(secret);
    return false;
}

bool
volume_secret_delete(Hypervisor *hypervisor, const char *volume_id, NovaError **err)
{
    virSecretPtr found = NULL;
    g_autoptr(virSecret) secret = NULL;

    if (!lookup(hypervisor, volume_id, &found, err))
        return false;
    secret = found;
    return !secret || virSecretUndefine(secret) == 0 || libvirt_error_code() == VIR_ERR_NO_SECRET ||
           libvirt_error_set(err, "removing a volume's secret");
}
