/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz entry over its saved corpus: what libFuzzer does with "-runs=0 corpus/", for builds
 * without it. The corpus is the folder of the program's own name: fuzz_conf reads corpus/conf. */

#include <glib.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifndef ENABLE_FUZZING
static int
replay_folder(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    int n = 0;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autofree char *data = NULL;
        gsize size;

        if (g_file_get_contents(path, &data, &size, NULL)) {
            LLVMFuzzerTestOneInput((const uint8_t *)data, size);
            n++;
        }
    }
    return n;
}

int
main(int argc, char **argv)
{
    const char *corpus = g_getenv("KILONOVA_FUZZ_CORPUS");
    const char *name = strrchr(argv[0], '/');
    g_autofree char *folder = NULL;
    int n;

    name = name ? name + 1 : argv[0];
    name = g_str_has_prefix(name, "fuzz_") ? name + strlen("fuzz_") : name;
    folder = argc > 1 ? g_strdup(argv[1]) : g_build_filename(corpus ? corpus : ".", name, NULL);
    n = replay_folder(folder);
    printf("%s: %d inputs of %s\n", argv[0], n, folder);
    return n > 0 ? 0 : 1;
}
#endif
