/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Between transport_settings.c and transport_options.c. */

#include "agent/rpc/transport_settings.h"

/* The library's defaults; no URL yet. */
TransportSettings *transport_settings_defaults(void);

/* Parses the URL, lays its query over the options and checks what goes together. */
bool transport_settings_finish(TransportSettings *settings, const char *url, NovaError **err);
