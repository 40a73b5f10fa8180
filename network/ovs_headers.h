/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* libopenvswitch's headers for ovsdb.c, the only file that sees them.
 *
 * Open vSwitch and jansson both have functions json_object(), json_array(), ... Here their
 * declarations get out of jansson's way (nothing of them is called by us); at link time
 * network/local.mk makes all of libopenvswitch's symbols local to one object. */

#include <ovs-config.h>

#define JSON_OBJECT  OVS_JSON_OBJECT
#define JSON_ARRAY   OVS_JSON_ARRAY
#define JSON_STRING  OVS_JSON_STRING
#define JSON_INTEGER OVS_JSON_INTEGER
#define JSON_REAL    OVS_JSON_REAL
#define JSON_TRUE    OVS_JSON_TRUE
#define JSON_FALSE   OVS_JSON_FALSE
#define JSON_NULL    OVS_JSON_NULL
#define json_object  ovs_json_object
#define json_array   ovs_json_array
#define json_string  ovs_json_string
#define json_integer ovs_json_integer
#define json_real    ovs_json_real
#define json_equal   ovs_json_equal

#include <openvswitch/poll-loop.h>
#include <openvswitch/vlog.h>
#include <ovsdb-idl.h>
#include <smap.h>
#include <stream-ssl.h>
#include <stream.h>
#include <vswitch-idl.h>

#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_INTEGER
#undef JSON_REAL
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_NULL
#undef json_object
#undef json_array
#undef json_string
#undef json_integer
#undef json_real
#undef json_equal
