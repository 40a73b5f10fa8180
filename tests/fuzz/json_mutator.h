/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Mutations for fuzz entries whose input is one JSON document: the result is JSON again, but for one in
 * sixteen. Only for builds with libFuzzer. */

#include <stddef.h>
#include <stdint.h>

/* Words that the code under test knows: keys of the objects at 'path', each with values worth a try.
 * Path and list end with NULL. */
typedef struct JsonWords {
    const char *const *path;   /* keys from the root */
    const char *const *keys;
    const char *const *values;
} JsonWords;

/* As LLVMFuzzerCustomMutator(); 'words' ends with a row without keys. */
size_t json_mutate(uint8_t *data, size_t size, size_t max_size, unsigned seed,
                   const JsonWords *words);
