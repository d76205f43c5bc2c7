#include "report/json.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "report/escape.h"

static void new_line(struct json *json)
{
	putc_unlocked('\n', json->out);
	for (unsigned i = 0; i < json->depth; i++)
		fputs_unlocked("  ", json->out);
}

static void begin_value(struct json *json, const char *name)
{
	if (json->has_member)
		putc_unlocked(',', json->out);
	if (json->depth)
		new_line(json);
	if (name) {
		putc_unlocked('"', json->out);
		escape_json(json->out, name, strlen(name));
		fputs_unlocked("\": ", json->out);
	}
	json->has_member = true;
}

static void begin(struct json *json, const char *name, char bracket)
{
	begin_value(json, name);
	putc_unlocked(bracket, json->out);
	json->depth++;
	json->has_member = false;
}

static void end(struct json *json, char bracket)
{
	json->depth--;
	if (json->has_member)
		new_line(json);
	putc_unlocked(bracket, json->out);
	json->has_member = true;
}

void json_object(struct json *json, const char *name)
{
	begin(json, name, '{');
}

void json_array(struct json *json, const char *name)
{
	begin(json, name, '[');
}

void json_end_object(struct json *json)
{
	end(json, '}');
}

void json_end_array(struct json *json)
{
	end(json, ']');
}

void json_string(struct json *json, const char *name, const char *s)
{
	if (!s) {
		json_null(json, name);
		return;
	}
	begin_value(json, name);
	putc_unlocked('"', json->out);
	escape_json(json->out, s, strlen(s));
	putc_unlocked('"', json->out);
}

void json_int(struct json *json, const char *name, int64_t value)
{
	begin_value(json, name);
	fprintf(json->out, "%" PRId64, value);
}

void json_uint(struct json *json, const char *name, uint64_t value)
{
	begin_value(json, name);
	char digits[DIGITS_MAX];
	const char *p = digits_decimal(value, digits);
	fwrite_unlocked(p, 1, (size_t)(digits + DIGITS_MAX - p), json->out);
}

void json_bool(struct json *json, const char *name, bool value)
{
	begin_value(json, name);
	fputs_unlocked(value ? "true" : "false", json->out);
}

void json_null(struct json *json, const char *name)
{
	begin_value(json, name);
	fputs_unlocked("null", json->out);
}

void json_value(struct json *json, const char *name, const char *value)
{
	begin_value(json, name);
	fputs_unlocked(value, json->out);
}

void json_addr(struct json *json, const char *name, uint64_t addr)
{
	if (!addr) {
		json_null(json, name);
		return;
	}
	begin_value(json, name);
	char digits[DIGITS_MAX];
	const char *p = digits_hex(addr, digits);
	fputs_unlocked("\"0x", json->out);
	fwrite_unlocked(p, 1, (size_t)(digits + DIGITS_MAX - p), json->out);
	putc_unlocked('"', json->out);
}

void json_done(struct json *json)
{
	putc_unlocked('\n', json->out);
}
