/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What an operation on a server's volumes or shares works with in a test: Cinder and Manila answer from the
 * script of one web server, the control plane from a function of the test's own. */

#include <jansson.h>

#include "compute/operation.h"
#include "tests/fakes/fake_http.h"
#include "tests/fakes/fake_rpc.h"

typedef struct FakeCloud {
    FakeHttp *http;
    char *endpoint; /* of Cinder: below /v3 */
    Options options;
    Keystone *keystone;
    Host host;           /* without a hypervisor */
    RequestContext *ctx; /* an admin's, with a token */
    Instance *instance;  /* NULL until the test has one; freed with the rest */
    GString *done;       /* what the test notes of its own */
} FakeCloud;

/* 'answer' gets 'user'. */
void fake_cloud_set_up(FakeCloud *cloud, FakeRpcAnswer answer, void *user);
void fake_cloud_tear_down(FakeCloud *cloud);

/* An object as the control plane sends it: without changes. Takes ownership of 'data'. */
json_t *fake_object(const char *name, const char *version, json_t *data);

/* One answer of the web server's, and all that it was asked: "GET /a\nPUT /b\n", and nothing unexpected. */
void fake_cloud_reply(FakeCloud *cloud, const char *method, const char *path, int status, const char *body);
void fake_cloud_assert_asked(FakeCloud *cloud, const char *expected);
