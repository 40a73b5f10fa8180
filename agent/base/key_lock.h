/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A lock for each name, made when it is first taken: oslo.concurrency's synchronized(). Any thread;
 * a thread that holds a name must not take it again. */

typedef struct KeyLock KeyLock;

KeyLock *key_lock_new(void);
void key_lock_free(KeyLock *lock); /* nobody holds a name */

/* Waits until nobody else holds it. */
void key_lock_take(KeyLock *lock, const char *name);
void key_lock_release(KeyLock *lock, const char *name);
