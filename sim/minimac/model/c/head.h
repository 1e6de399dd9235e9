/* NAME: SUMMARY.
 *
 * A bit-exact model in C99, written by minimac; the digest of the design is DIGEST.
 * This file may be used, changed and passed on without condition.
 */
#ifndef NAME_MODEL_H
#define NAME_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- The design ------------------------------------------------------------------------------- */

CONSTANTS
