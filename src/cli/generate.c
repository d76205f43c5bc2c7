#include "cli/generate.h"

#include <stdbool.h>
#include <string.h>

#include "cli/command.h"

/* Text in which scdoc(5) is to find no markup. */
static void put_scdoc(FILE *out, const char *s)
{
	for (bool line_starts = true; *s; s++) {
		/* A dash that starts a line starts a list. */
		if (strchr("\\_*~#", *s) || (line_starts && *s == '-'))
			fputc('\\', out);
		fputc(*s, out);
		line_starts = *s == '\n';
	}
}

static void man_command(FILE *out, const struct command *c)
{
	fprintf(out, "## mapcrash %s ", c->name);
	put_scdoc(out, "[OPTION]... ");
	put_scdoc(out, c->operands);
	fputs("\n\n", out);
	put_scdoc(out, c->summary);
	fputs("\n\n", out);
	put_scdoc(out, c->details);
	fputc('\n', out);
	for (int id = 0; id < OPTION_COUNT; id++) {
		const struct option_spec *o = &option_specs[id];
		if (!(c->options >> id & 1) || id == OPTION_HELP)
			continue;
		if (o->letter)
			fprintf(out, "*-%c*, ", o->letter);
		fprintf(out, "*--%s*", o->name);
		if (o->argument)
			fprintf(out, " _%s_", o->argument);
		fputs("\n\t", out);
		put_scdoc(out, o->help);
		fputs("\n\n", out);
	}
}

void generate_man(FILE *out)
{
	fputs("# SYNOPSIS\n\n", out);
	for (const struct command *c = commands; c->name; c++) {
		fprintf(out, "*mapcrash %s* ", c->name);
		put_scdoc(out, "[OPTION]... ");
		put_scdoc(out, c->operands);
		/* ++ at the end of a line breaks it */
		fputs(c[1].name ? "++\n" : "\n\n", out);
	}
	fputs("# COMMANDS\n\n", out);
	for (const struct command *c = commands; c->name; c++)
		man_command(out, c);
}

/* What may follow an option: a file, a folder, one of some words, or what nobody can guess. */
static void completion_arguments(FILE *out)
{
	fputs("\tcase $previous in\n\t--color) COMPREPLY=($(compgen -W 'always never auto' -- "
	      "\"$current\")); return ;;\n",
	      out);
	for (int id = 0; id < OPTION_COUNT; id++) {
		const struct option_spec *o = &option_specs[id];
		if (!o->argument || id == OPTION_COLOR)
			continue;
		if (strcmp(o->argument, "FILE") == 0)
			fprintf(out,
				"\t--%s) COMPREPLY=($(compgen -f -- \"$current\")); return ;;\n",
				o->name);
		else if (strcmp(o->argument, "DIR") == 0)
			fprintf(out,
				"\t--%s) COMPREPLY=($(compgen -d -- \"$current\")); return ;;\n",
				o->name);
		else
			fprintf(out, "\t--%s) return ;;\n", o->name);
	}
	fputs("\tesac\n", out);
}

void generate_completion(FILE *out)
{
	fputs("# bash completion for mapcrash, made by the program itself\n"
	      "_mapcrash() {\n"
	      "\tlocal current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} "
	      "options\n"
	      "\tCOMPREPLY=()\n"
	      "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"
	      "\t\tCOMPREPLY=($(compgen -W '",
	      out);
	for (const struct command *c = commands; c->name; c++)
		fprintf(out, "%s ", c->name);
	fputs("help --help --version' -- \"$current\"))\n\t\treturn\n\tfi\n", out);
	completion_arguments(out);
	fputs("\tcase ${COMP_WORDS[1]} in\n", out);
	for (const struct command *c = commands; c->name; c++) {
		fprintf(out, "\t%s) options='", c->name);
		for (int id = 0; id < OPTION_COUNT; id++)
			if (c->options >> id & 1)
				fprintf(out, "--%s ", option_specs[id].name);
		fputs("' ;;\n", out);
	}
	fputs("\tesac\n"
	      "\tcase $current in\n"
	      "\t-*) COMPREPLY=($(compgen -W \"$options\" -- \"$current\")) ;;\n"
	      "\t*) COMPREPLY=($(compgen -f -- \"$current\")) ;;\n"
	      "\tesac\n"
	      "}\n"
	      "complete -o filenames -F _mapcrash mapcrash\n",
	      out);
}
