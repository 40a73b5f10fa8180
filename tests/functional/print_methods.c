/* SPDX-License-Identifier: Apache-2.0 */
/* The table of RPC methods as JSON, a row a line: what tests/functional/test_methods.py compares with
 * nova.compute.manager. */
#include <stdio.h>

#include "agent/base/json.h"
#include "agent/methods.h"

static const struct {
    unsigned flag;
    const char *name;
} flags[] = {
    {SERIAL, "SERIAL"},                 {EVENT, "EVENT"},       {FAULT, "FAULT"},   {REVERT_TASK, "REVERT_TASK"},
    {FAIL_MIGRATION, "FAIL_MIGRATION"}, {EXPECTED, "EXPECTED"}, {UNTOLD, "UNTOLD"},
};

static void
print_row(const Method *method)
{
    json_auto_t *names = json_array();
    json_auto_t *row = NULL;
    g_autofree char *text = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(flags); i++)
        if (method->flags & flags[i].flag)
            json_array_append_new(names, json_string(flags[i].name));
    row = json_pack("{s:s, s:O, s:s, s:s}", "name", method->name, "flags", names, "required", method->required,
                    "optional", method->optional);
    text = json_to_text(row);
    puts(text);
}

int
main(void)
{
    size_t n;
    const Method *methods = method_table(&n);

    for (size_t i = 0; i < n; i++)
        print_row(&methods[i]);
    return 0;
}
