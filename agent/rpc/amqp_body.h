/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a delivery's body says once kombu's compression is undone ([oslo_messaging_rabbit]kombu_compression of
 * whoever sent it). Any thread. */

#include "agent/rpc/amqp_link.h"

/* Leaves a body that is not compressed as it is. ValueError: too large, broken, or of a kind other than
 * application/x-gzip, which in kombu names a zlib stream; the body is as it came then. */
bool amqp_body_open(AmqpEvent *event, NovaError **err);
