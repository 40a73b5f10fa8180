/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A made-up tree of /sys, /etc and programs below a temporary folder. */

#include <glib.h>
#include <stdbool.h>
#include <unistd.h>

#include "tests/unit/cmocka_all.h"

static inline void
tree_put(const char *root, const char *path, const char *text)
{
    g_autofree char *full = g_strconcat(root, path, NULL);
    g_autofree char *folder = g_path_get_dirname(full);

    assert_int_equal(g_mkdir_with_parents(folder, 0755), 0);
    assert_true(g_file_set_contents(full, text, -1, NULL));
}

static inline bool
tree_has(const char *root, const char *path)
{
    g_autofree char *full = g_strconcat(root, path, NULL);

    return access(full, F_OK) == 0;
}

static inline void
tree_remove(const char *root)
{
    const char *argv[] = {"rm", "-rf", root, NULL};

    assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
}
