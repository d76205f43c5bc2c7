#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "report/verify.h"

/* A path as it is from root, where it lies in it. */
static const char *below(const char *root, const char *file)
{
	size_t n = root ? strlen(root) : 0;
	return file && n && strncmp(file, root, n) == 0 && file[n] == '/' ? file + n + 1 : file;
}

/* The race in one sentence; of a command's programs it says which. */
static void describe(struct text *text, const struct verify_facts *f,
		     const struct verify_program *program, const struct trial_race *race)
{
	text_printf(text, "%s race on %s%s%s: ", grade_name(race->grade),
		    race->owner ? race->owner : "", race->owner ? ", " : "",
		    race->type ? race->type : "a map");
	for (unsigned i = 0; i < (race->has_other ? 2U : 1U); i++) {
		const struct trial_place *side = &race->side[i];
		text_printf(text, "%s%s in %s (%s:%" PRId32 ")", i ? " and " : "",
			    side->operation == OPERATION_UNKNOWN ? "access"
								 : operation_name(side->operation),
			    side->function ? side->function : "unknown code",
			    side->file ? side->file : "?", side->line);
	}
	text_printf(text, "; in %u of %u runs", race->count, program->trials->runs);
	if (f->now.command)
		text_printf(text, " of %s", program->name);
}

/* SARIF 2.1.0, 3.29: a URI reference; what may not stand in its path is escaped (RFC 3986). */
static void append_uri(struct text *text, const char *path)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~/";
	if (path[0] == '/')
		text_append(text, "file://");
	for (; *path; path++) {
		if (strchr(plain, *path))
			text_append_char(text, *path);
		else
			text_printf(text, "%%%02X", (unsigned char)*path);
	}
}

static void location(struct json *json, const char *root, const struct trial_place *place, int id)
{
	AUTO_TEXT struct text uri = TEXT_INIT;
	json_object(json, NULL);
	if (id >= 0)
		json_int(json, "id", id);
	if (place->file) {
		append_uri(&uri, below(root, place->file));
		json_object(json, "physicalLocation");
		json_object(json, "artifactLocation");
		json_string(json, "uri", uri.s);
		json_end_object(json);
		if (place->line > 0) {
			json_object(json, "region");
			json_int(json, "startLine", place->line);
			json_end_object(json);
		}
		json_end_object(json);
	}
	if (place->function) {
		json_array(json, "logicalLocations");
		json_object(json, NULL);
		json_string(json, "fullyQualifiedName", place->function);
		json_string(json, "kind", "function");
		json_end_object(json);
		json_end_array(json);
	}
	json_end_object(json);
}

static void result(struct json *json, const struct verify_facts *f,
		   const struct verify_program *program, const struct trial_race *race)
{
	AUTO_TEXT struct text text = TEXT_INIT;
	describe(&text, f, program, race);
	json_object(json, NULL);
	json_string(json, "ruleId", "map-race");
	json_string(json, "level", "error");
	if (f->before)
		json_string(json, "baselineState",
			    verify_has(f->before, race) ? "unchanged" : "new");
	json_object(json, "message");
	json_string(json, "text", text.s);
	json_end_object(json);
	json_array(json, "locations");
	location(json, f->root, &race->side[0], -1);
	json_end_array(json);
	if (race->has_other) {
		json_array(json, "relatedLocations");
		location(json, f->root, &race->side[1], 1);
		json_end_array(json);
	}
	json_end_object(json);
}

void verify_sarif(FILE *out, const struct verify_facts *f)
{
	struct json json = JSON_INIT(out);
	json_object(&json, NULL);
	json_string(&json, "$schema", "https://json.schemastore.org/sarif-2.1.0.json");
	json_string(&json, "version", "2.1.0");
	json_array(&json, "runs");
	json_object(&json, NULL);
	json_object(&json, "tool");
	json_object(&json, "driver");
	json_string(&json, "name", "mapcrash");
	json_string(&json, "version", f->version);
	json_array(&json, "rules");
	json_object(&json, NULL);
	json_string(&json, "id", "map-race");
	json_object(&json, "shortDescription");
	json_string(&json, "text", "A Go map is used by two goroutines at once");
	json_end_object(&json);
	json_end_object(&json);
	json_end_array(&json);
	json_end_object(&json);
	json_end_object(&json);
	json_array(&json, "results");
	for (size_t i = 0; i < f->now.program_count; i++)
		for (size_t k = 0; k < f->now.programs[i].trials->race_count; k++)
			result(&json, f, &f->now.programs[i], &f->now.programs[i].trials->races[k]);
	json_end_array(&json);
	json_end_object(&json);
	json_end_array(&json);
	json_end_object(&json);
	json_done(&json);
}

/* actions/toolkit, packages/core/src/command.ts: % and line ends everywhere, : and , in properties. Other
 * control characters could recolour the log. */
static void command_text(FILE *out, const char *s, bool is_property)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '%' || c == '\r' || c == '\n' || (is_property && (c == ':' || c == ',')))
			fprintf(out, "%%%02X", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(out, "\\x%02x", c);
		else
			fputc(c, out);
	}
}

static void annotate(FILE *out, const struct verify_facts *f, const struct verify_program *program,
		     const struct trial_race *race)
{
	AUTO_TEXT struct text text = TEXT_INIT;
	describe(&text, f, program, race);
	for (unsigned k = 0; k < (race->has_other ? 2U : 1U); k++) {
		const struct trial_place *side = &race->side[k];
		/* both sides at one line are one annotation */
		if (k && side->line == race->side[0].line && side->file && race->side[0].file &&
		    strcmp(side->file, race->side[0].file) == 0)
			continue;
		fputs("::error ", out);
		if (side->file) {
			fputs("file=", out);
			command_text(out, below(f->root, side->file), true);
			fprintf(out, ",line=%" PRId32 ",", side->line);
		}
		fputs("title=concurrent use of a map::", out);
		command_text(out, text.s, false);
		fputc('\n', out);
	}
}

void verify_github(FILE *out, const struct verify_facts *f)
{
	for (size_t i = 0; i < f->now.program_count; i++)
		for (size_t k = 0; k < f->now.programs[i].trials->race_count; k++)
			annotate(out, f, &f->now.programs[i], &f->now.programs[i].trials->races[k]);
}
