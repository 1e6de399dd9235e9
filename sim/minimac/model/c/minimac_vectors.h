/* Reader of the test vectors that minimac writes, .csv or .hex, in C99 or C++.
 *
 *     minimac_vectors vectors;
 *     if (!minimac_read_vectors(&vectors, "mine.csv")) { puts(vectors.error); return 1; }
 *     for (size_t i = 0; i < vectors.cases; i++) {
 *         const uint32_t *a = minimac_codes(&vectors, i, "a");   // as many as there are terms
 *         uint32_t out = *minimac_codes(&vectors, i, "out");
 *     }
 *     minimac_free_vectors(&vectors);
 *
 * This file may be used, changed and passed on without condition.
 */
#ifndef MINIMAC_VECTORS_H
#define MINIMAC_VECTORS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MINIMAC_MOST_FIELDS 8

/* A part of every case: a, a_scale, a_tensor, the same for b, random, out. */
typedef struct {
    char name[16];
    int width;    /* of a code, in bits */
    size_t count; /* codes in a case */
    size_t first; /* ahead of them in a case */
} minimac_field;

typedef struct {
    size_t cases;
    size_t columns; /* codes in a case */
    int fields;
    minimac_field field[MINIMAC_MOST_FIELDS];
    uint32_t *codes; /* case by case */
    char error[256]; /* what was wrong, in one line */
} minimac_vectors;

static inline void minimac_free_vectors(minimac_vectors *vectors)
{
    free(vectors->codes);
    vectors->codes = NULL;
    vectors->cases = 0;
}

/* The codes of a field in a case; NULL if there is no such field. */
static inline const uint32_t *minimac_codes(const minimac_vectors *vectors, size_t index,
                                            const char *name)
{
    for (int i = 0; i < vectors->fields; i++) {
        if (strcmp(vectors->field[i].name, name) == 0) {
            return vectors->codes + index * vectors->columns + vectors->field[i].first;
        }
    }
    return NULL;
}

/* How many codes of a field are in a case; 0 if there is no such field. */
static inline size_t minimac_count(const minimac_vectors *vectors, const char *name)
{
    for (int i = 0; i < vectors->fields; i++) {
        if (strcmp(vectors->field[i].name, name) == 0) {
            return vectors->field[i].count;
        }
    }
    return 0;
}

/* --- The rest is not for users ---------------------------------------------------------------- */

static inline bool minimac_fail(minimac_vectors *vectors, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(vectors->error, sizeof vectors->error, format, arguments);
    va_end(arguments);
    return false;
}

static inline int minimac_digit(int c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Read the next character; those of Windows at the end of a line count as one. */
static inline int minimac_next(FILE *file)
{
    const int c = fgetc(file);

    return c == '\r' ? fgetc(file) : c;
}

/* Read a line, keep what there is room for, and say whether there was one. */
static inline bool minimac_line(FILE *file, char *line, size_t room)
{
    size_t length = 0;
    int c = minimac_next(file);

    if (c == EOF) {
        return false;
    }
    for (; c != EOF && c != '\n'; c = minimac_next(file)) {
        if (length + 1 < room) {
            line[length++] = (char)c;
        }
    }
    line[length] = '\0';
    return true;
}

/* Read the fields of a header, as in `a:8*16 b:8*16 out:32`. */
static inline bool minimac_read_fields(minimac_vectors *vectors, const char *text)
{
    char name[16];
    int width, length;

    while (sscanf(text, " %15[a-z_]:%d%n", name, &width, &length) == 2) {
        unsigned long count = 1;
        text += length;
        if (sscanf(text, "*%lu%n", &count, &length) == 1) {
            text += length;
        }
        if (vectors->fields == MINIMAC_MOST_FIELDS || width < 1 || width > 32 || count < 1
            || count > 1 << 20) {
            return false;
        }
        minimac_field *field = &vectors->field[vectors->fields++];
        strcpy(field->name, name);
        field->width = width;
        field->count = count;
        field->first = vectors->columns;
        vectors->columns += count;
    }
    return vectors->columns > 0 && *text == '\0';
}

/* Read a case of codes between commas. */
static inline bool minimac_read_row(minimac_vectors *vectors, FILE *file, uint32_t *code)
{
    for (int i = 0; i < vectors->fields; i++) {
        for (size_t k = 0; k < vectors->field[i].count; k++) {
            const bool last = i == vectors->fields - 1 && k == vectors->field[i].count - 1;
            const int width = vectors->field[i].width;
            uint64_t value = 0;
            for (int digits = 0; digits < (width + 3) / 4; digits++) {
                const int digit = minimac_digit(minimac_next(file));
                if (digit < 0) {
                    return false;
                }
                value = value << 4 | (uint64_t)digit;
            }
            if (minimac_next(file) != (last ? '\n' : ',') || value >> width != 0) {
                return false;
            }
            *code++ = (uint32_t)value;
        }
    }
    return true;
}

/* Read a case of codes side by side, the first one lowest. */
static inline bool minimac_read_number(minimac_vectors *vectors, FILE *file, char *digit,
                                       size_t digits, uint32_t *code)
{
    size_t place = 0;

    for (size_t i = 0; i < digits; i++) {
        const int value = minimac_digit(minimac_next(file));
        if (value < 0) {
            return false;
        }
        digit[digits - 1 - i] = (char)value;
    }
    if (minimac_next(file) != '\n') {
        return false;
    }
    for (int i = 0; i < vectors->fields; i++) {
        for (size_t k = 0; k < vectors->field[i].count; k++, code++) {
            *code = 0;
            for (int bit = 0; bit < vectors->field[i].width; bit++, place++) {
                *code |= (uint32_t)(digit[place / 4] >> place % 4 & 1) << bit;
            }
        }
    }
    return true;
}

static inline bool minimac_read_file(minimac_vectors *vectors, FILE *file, const char *path)
{
    char line[512] = "";
    unsigned long cases = 0;
    size_t number = 1, bits = 0;
    int mark = fgetc(file);
    const bool packed = mark == '/';

    /* The header; of a table the line of names, too. */
    for (; mark == '#' || mark == '/'; number++, mark = fgetc(file)) {
        if (!minimac_line(file, line, sizeof line)) {
            break;
        }
        const char *text = line + strspn(line, "/ ");
        sscanf(text, "cases: %lu", &cases);
        if (strncmp(text, "fields: ", 8) == 0 && !minimac_read_fields(vectors, text + 8)) {
            return minimac_fail(vectors, "%s, line %zu: no list of fields", path, number);
        }
    }
    if (cases == 0 || vectors->fields == 0) {
        return minimac_fail(vectors, "%s: no header of test vectors of minimac", path);
    }
    if (packed) {
        ungetc(mark, file);
    } else {
        number++;
        minimac_line(file, line, sizeof line);
    }
    for (int i = 0; i < vectors->fields; i++) {
        bits += vectors->field[i].count * (size_t)vectors->field[i].width;
    }
    if (cases > SIZE_MAX / sizeof(uint32_t) / vectors->columns) {
        return minimac_fail(vectors, "%s: too many cases", path);
    }
    vectors->codes = (uint32_t *)malloc(cases * vectors->columns * sizeof(uint32_t));
    char *digit = (char *)malloc(bits / 4 + 1);
    bool fine = vectors->codes != NULL && digit != NULL;
    if (!fine) {
        minimac_fail(vectors, "%s: out of memory", path);
    }
    while (fine && vectors->cases < cases) {
        uint32_t *code = vectors->codes + vectors->cases * vectors->columns;
        fine = packed ? minimac_read_number(vectors, file, digit, (bits + 3) / 4, code)
                      : minimac_read_row(vectors, file, code);
        if (!fine) {
            minimac_fail(vectors, "%s, line %zu: not the %zu codes of a case", path, number,
                         vectors->columns);
        }
        vectors->cases++;
        number++;
    }
    free(digit);
    if (fine && minimac_next(file) != EOF) {
        fine = minimac_fail(vectors, "%s, line %zu: more than the %lu cases of the header", path,
                            number, cases);
    }
    return fine;
}

/* --- For users again -------------------------------------------------------------------------- */

/* Read a file; if it cannot be read, say why in `error`, hold nothing, and return false. */
static inline bool minimac_read_vectors(minimac_vectors *vectors, const char *path)
{
    FILE *file = fopen(path, "rb");
    bool fine;

    vectors->cases = vectors->columns = 0;
    vectors->fields = 0;
    vectors->codes = NULL;
    vectors->error[0] = '\0';
    if (file == NULL) {
        return minimac_fail(vectors, "%s: cannot be opened", path);
    }
    fine = minimac_read_file(vectors, file, path);
    fclose(file);
    if (!fine) {
        minimac_free_vectors(vectors);
    }
    return fine;
}

#endif
