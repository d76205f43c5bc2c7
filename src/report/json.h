/*
 * A streaming JSON writer: no tree in memory, so a report of 100,000 goroutines costs none.
 *
 * Calls nest as the document does. Inside an object name is the member's name; inside an array, and
 * at the top, it is NULL. Commas and indentation are the writer's. Whether all was written is told by
 * ferror(out).
 */
#ifndef REPORT_JSON_H
#define REPORT_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *out;
	unsigned depth;
	bool has_member; /* at this depth: a comma is due */
};

#define JSON_INIT(file)          \
	{                        \
		(file), 0, false \
	}

void json_object(struct json *json, const char *name);
void json_array(struct json *json, const char *name);
void json_end_object(struct json *json);
void json_end_array(struct json *json);

/* s NULL: null. s is bytes of a target: invalid UTF-8 is replaced. */
void json_string(struct json *json, const char *name, const char *s);
void json_int(struct json *json, const char *name, int64_t value);
void json_uint(struct json *json, const char *name, uint64_t value);
void json_bool(struct json *json, const char *name, bool value);
void json_null(struct json *json, const char *name);
/* An address: the string "0x..."; 0 is null, because no address is 0. */
void json_addr(struct json *json, const char *name, uint64_t addr);

/* value: JSON, whole and sound. */
void json_value(struct json *json, const char *name, const char *value);

/* Ends the document with a newline. */
void json_done(struct json *json);

#endif
