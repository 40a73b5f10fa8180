/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A made-up tree of /sys, /etc and programs below a temporary folder. */

#include <glib.h>
#include <stdbool.h>
#include <sys/stat.h>
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

/* A program of the tree, see tree_use_programs(). */
static inline void
tree_put_program(const char *root, const char *name, const char *script)
{
    g_autofree char *path = g_strconcat("/bin/", name, NULL);
    g_autofree char *full = g_strconcat(root, path, NULL);

    tree_put(root, path, script);
    assert_int_equal(chmod(full, 0755), 0);
}

/* They are found before all others. Returns PATH as it was, to be set again; g_free(). */
static inline char *
tree_use_programs(const char *root)
{
    char *before = g_strdup(g_getenv("PATH"));
    g_autofree char *path = g_strconcat(root, "/bin:", before, NULL);

    g_setenv("PATH", path, TRUE);
    return before;
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
