#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/nomem.h"
#include "cli/command.h"
#include "cli/generate.h"
#include "cli/live.h"

const struct option_spec option_specs[OPTION_COUNT] = {
	[OPTION_HELP] = {"help", NULL, "this text", 'h'},
	[OPTION_JSON] = {"json", NULL, "write JSON (schemas in docs/)"},
	[OPTION_EXE] = {"exe", "FILE",
			"the executable, where it is not at the path the core names"},
	[OPTION_SYSROOT] = {"sysroot", "DIR", "put DIR before the paths that the core names"},
	[OPTION_FORCE_EXE] = {"force-exe", NULL, "use --exe although its build id is another"},
	[OPTION_COLOR] = {"color", "WHEN", "always, never, or auto: on a terminal (default)"},
	[OPTION_SEARCH_ALL] = {"search-all", NULL, "search all parked goroutines, however many"},
	[OPTION_SITES] = {"sites", NULL, "list all code that can write such a map"},
	[OPTION_EXIT_CODE] = {"exit-code", NULL,
			      "exit 3 when a race or a corruption was found, else 0"},
	[OPTION_ALL] = {"all", NULL, "leave nothing out, group nothing"},
	[OPTION_CHECK] = {"check", NULL,
			  "check a map's counts, hashes, duplicates and growth; layout: the "
			  "article's claims"},
	[OPTION_LIMIT] = {"limit", "N", "show at most N; 0: all"},
	[OPTION_LOG] = {"log", "FILE", "what Go printed, beside a core of the same crash"},
	[OPTION_CRASH] = {"crash", "N",
			  "of a log with several crashes, the N-th (default: the last of a map)"},
	[OPTION_HOLD] = {"hold", "MS", "force the race: keep writers MS ms in the map"},
	[OPTION_MAP] = {"map", "ADDRESS|TYPE", "--hold on this map, or maps of this type, only"},
	[OPTION_NO_TSC] = {"no-tsc", NULL, "record without time stamps: cheaper, proves less"},
	[OPTION_CHILDREN] = {"children", NULL, "record the Go programs that PROGRAM starts, too"},
	[OPTION_OUTPUT] = {"output", "FILE", "write the report into FILE", 'o'},
	[OPTION_PPROF] = {"pprof", "FILE", "write a profile for `go tool pprof` into FILE instead"},
	[OPTION_BINARY] = {"binary", NULL, "look at the binary only, not at this machine"},
	[OPTION_HEX] = {"hex", NULL, "show the bytes: header, and buckets or groups"},
	[OPTION_KEY] = {"key", "KEY", "follow the lookup of one key"},
	[OPTION_DURATION] = {"duration", "S", "end after S seconds"},
	[OPTION_CHANGES] = {"count", "N", "end after N changes"},
	[OPTION_SVG] = {"svg", "FILE", "draw a timeline into FILE"},
	[OPTION_RUNS] = {"runs", "N", "run it N times (default: 20)"},
	[OPTION_SEED] = {"seed", "S", "the holds of an earlier verify, by the seed it printed"},
	[OPTION_AGAINST] = {"against", "OLD",
			    "compare with the program OLD, or with the directory OLD's"},
	[OPTION_REPORT_ONLY] = {"report-only", NULL,
				"tell races and near misses of a program that goes on; --hold "
				"brings them about without killing it"},
	[OPTION_READS] = {"reads", NULL, "--report-only: of readers, too"},
	[OPTION_WITHIN] = {"within", "MS", "--report-only: how near a near miss is (default: 10)"},
	[OPTION_FORMAT] = {"format", "FORMAT", "text, json, sarif or github (annotations)"},
};

const struct command commands[] = {
	{"explain", explain_run, "TARGET", 1, 1,
	 OPTIONS_TARGET | OPTION(OPTION_SEARCH_ALL) | OPTION(OPTION_SITES) |
		 OPTION(OPTION_EXIT_CODE) | OPTION(OPTION_CRASH) | OPTION(OPTION_LOG),
	 "who raced whom, on which map, and how sure that is",
	 "TARGET is a core (plain, or compressed by zstd, lz4 or xz), a log with what Go printed "
	 "(-:\n"
	 "standard input), or the PID of a running process, which is stopped for the read and "
	 "runs\n"
	 "on. Of a log with several crashes the last one of a map is told, and all are listed; "
	 "what a\n"
	 "logger put around the lines is understood.\n"},
	{"run", run_run, "[--] PROGRAM [ARGUMENT]...", 1, OPERANDS_PROGRAM,
	 OPTIONS_LIVE | OPTION(OPTION_CHILDREN) | OPTION(OPTION_REPORT_ONLY) |
		 OPTION(OPTION_READS) | OPTION(OPTION_WITHIN),
	 "runs a program under the recorder, and explains it when it dies of its maps",
	 "Each map write of the program leaves a record, so that a crash shows both sides. The "
	 "report\n"
	 "goes to standard error after the program's own output (--json: to standard output); "
	 "exit\n"
	 "status, signals and files are the program's own. Of a command such as sh, make or go "
	 "test\n"
	 "--children (go: implied) records each Go program that it starts, but for Go's own tools; "
	 "what\n"
	 "a recorded program starts in turn is not. --report-only does not wait for a crash:\n"
	 "goroutines that are on one map at once, or by turns with nothing that orders them, are "
	 "told\n"
	 "at the end, and exit status 3 says that there were some. With --hold writers are held "
	 "before\n"
	 "they look at the flag, so that the program lives.\n"},
	{"attach", attach_run, "PID", 1, 1, OPTIONS_LIVE | OPTION(OPTION_DURATION),
	 "records a running process, and explains it when it dies of its maps",
	 "The process stands still for some milliseconds, and again at the end: SIGINT, SIGTERM "
	 "or\n"
	 "--duration detaches, and it runs on as it was. Exit status 3: a crash was explained.\n"},
	{"patch", patch_run, "IN OUT", 2, 2,
	 OPTION(OPTION_HELP) | OPTION(OPTION_COLOR) | OPTION(OPTION_NO_TSC),
	 "writes a copy of a program that records its map writes wherever it runs",
	 "For places where no tracer may run: OUT is IN with the recorder inside. When it dies of "
	 "its\n"
	 "maps with GOTRACEBACK=crash, its core keeps the records, and explain shows both sides. "
	 "IN\n"
	 "itself is not changed; the build id stays.\n"},
	{"verify", verify_run, "[--] PROGRAM [ARGUMENT]...", 1, OPERANDS_PROGRAM,
	 OPTION(OPTION_HELP) | OPTION(OPTION_JSON) | OPTION(OPTION_COLOR) | OPTION(OPTION_RUNS) |
		 OPTION(OPTION_SEED) | OPTION(OPTION_HOLD) | OPTION(OPTION_DURATION) |
		 OPTION(OPTION_AGAINST) | OPTION(OPTION_FORMAT) | OPTION(OPTION_CHILDREN),
	 "tries to break a program's maps again and again, and says what was tried",
	 "Each run keeps writers in their maps for a random while (--hold: at most so many ms, "
	 "20). "
	 "A\n"
	 "run ends after 60 s (--duration). What the program prints is not shown. Exit status: 3 "
	 "when\n"
	 "a race was found, 0 when none was. Of a command such as sh, make or go test --children "
	 "(go:\n"
	 "implied) records each Go program that it starts, and tells of each; what runs on when "
	 "the\n"
	 "command has ended is ended, too. A run of a command ends after 600 s. go test is run "
	 "with\n"
	 "-count=1. --against OLD tries what was before as well, and tells races that are gone, "
	 "and new\n"
	 "ones: OLD is a program to run instead of PROGRAM, or a directory, a checkout of the "
	 "version\n"
	 "before say, where the same is run.\n"},
	{"watch", watch_run, "PID MAP", 2, 2,
	 OPTIONS_TARGET | OPTION(OPTION_CHANGES) | OPTION(OPTION_DURATION) | OPTION(OPTION_SVG) |
		 OPTION(OPTION_EXIT_CODE),
	 "each change of a map's flag in a running process, and who made it",
	 "MAP is the address of the map's header, as mapcrash maps shows it, or its type or owner\n"
	 "where only one map has that. The process runs on, and is not harmed when the watch "
	 "ends,\n"
	 "in whatever way: Enter, a signal, --count, --duration, or the end of the process.\n"},
	{"goroutines", goroutines_run, "TARGET", 1, 1,
	 OPTIONS_TARGET | OPTION(OPTION_ALL) | OPTION(OPTION_LIMIT) | OPTION(OPTION_PPROF),
	 "all goroutines with their stacks, identical ones grouped", ""},
	{"maps", maps_run, "TARGET", 1, 1, OPTIONS_TARGET | OPTION(OPTION_LIMIT),
	 "all maps with type, entries, size and owner, biggest first", ""},
	{"map", map_run, "TARGET ADDRESS [TYPE]", 2, 3,
	 OPTIONS_TARGET | OPTION(OPTION_CHECK) | OPTION(OPTION_LIMIT) | OPTION(OPTION_HEX) |
		 OPTION(OPTION_KEY),
	 "one map with its header, keys and values",
	 "ADDRESS is that of the map's header, as reports and tracebacks show it. TYPE is its "
	 "type,\n"
	 "by name (map[string]int) or address; without it, the type is looked for.\n"},
	{"code", code_run, "TARGET [FUNCTION]", 1, 2, OPTIONS_TARGET | OPTION(OPTION_ALL),
	 "machine code of the map functions, and what it does to their flag",
	 "TARGET is an executable, a core or a PID. Without FUNCTION, the instructions of all map\n"
	 "functions that touch the flag; --all: every instruction of them. FUNCTION is a name as\n"
	 "linked, or its end: mapassign_fast64, maps.(*Map).Delete.\n"},
	{"writers", writers_run, "TARGET [TYPE|ADDRESS]", 1, 2,
	 OPTIONS_TARGET | OPTION(OPTION_LIMIT),
	 "the code that can write maps of a type, or that writes to an address",
	 "TARGET is an executable, a core or a PID. TYPE is a map type by name (map[string]int) or "
	 "by\n"
	 "the address of its descriptor; without it, the writes of all maps are listed. For an "
	 "ADDRESS\n"
	 "(0x...): the instructions that write there, as the code names it or as goroutines hold "
	 "it\n"
	 "now, in their registers and frames.\n"},
	{"layout", layout_run, "TARGET [NAME]...", 1, 64,
	 OPTIONS_TARGET | OPTION(OPTION_ALL) | OPTION(OPTION_CHECK),
	 "the runtime's structs and maps' buckets as this binary has them",
	 "TARGET is an executable, a core or a PID. NAME is a map type (map[string]int), whose "
	 "bucket\n"
	 "or group is shown with the words that the collector follows, or a struct (runtime.g,\n"
	 "main.Cache). --check: what the article says of map memory, true or false here.\n"},
	{"check", check_run, "TARGET", 1, 1, OPTIONS_TARGET | OPTION(OPTION_BINARY),
	 "before it ships: would a crash of this binary be explainable?",
	 "TARGET is an executable, or a PID: then the limits and the environment are that "
	 "process's.\n"
	 "Exit status 0: it would; 1: in part, and it says what to do; 2: it would not.\n"},
	{"lab", lab_run, "[FOLDER]", 0, 1, OPTION(OPTION_HELP) | OPTION(OPTION_COLOR),
	 "two threads write one map of libgomap, step by step, and its core is decoded",
	 "No Go is needed. The core is left in FOLDER (lab-out unless given); where the kernel "
	 "writes\n"
	 "none, the dying process itself is read.\n"},
	{0},
};

static const struct command *command_find(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

static void print_commands(FILE *out)
{
	fprintf(out, "usage: mapcrash COMMAND ...\n\n");
	for (const struct command *c = commands; c->name; c++)
		fprintf(out, "  %-10s %s\n", c->name, c->summary);
	fprintf(out, "\nmapcrash COMMAND --help tells more.\n");
}

static void print_help(FILE *out, const struct command *c)
{
	fprintf(out, "usage: mapcrash %s [OPTION]... %s\n\n%s\n%s%s", c->name, c->operands,
		c->summary, c->details[0] ? "\n" : "", c->details);
	fputc('\n', out);
	for (int id = 0; id < OPTION_COUNT; id++) {
		const struct option_spec *o = &option_specs[id];
		char left[40], letter[8] = "";
		if (!(c->options >> id & 1))
			continue;
		if (o->letter)
			snprintf(letter, sizeof(letter), "-%c, ", o->letter);
		snprintf(left, sizeof(left), "%s--%s%s%s", letter, o->name, o->argument ? " " : "",
			 o->argument ? o->argument : "");
		fprintf(out, "  %-18s %s\n", left, o->help);
	}
}

static int usage_error(const struct command *c, const char *what, const char *arg)
{
	fprintf(stderr, "mapcrash %s: %s%s%s\n", c->name, what, arg ? " " : "", arg ? arg : "");
	fprintf(stderr, "usage: mapcrash %s [OPTION]... %s   (--help tells more)\n", c->name,
		c->operands);
	return EXIT_USAGE;
}

static int run(const struct command *c, int argc, char **argv)
{
	enum { LONG = 256 }; /* numbers of long options begin here: below are letters */
	struct option longs[OPTION_COUNT + 1] = {0};
	char shorts[2 * OPTION_COUNT + 3] = ":";
	int by_letter[LONG] = {0};
	struct options options = {0};
	size_t n = 0, k = 1;
	/* +: an option behind the first operand is another program's */
	if (c->operands_max == OPERANDS_PROGRAM) {
		shorts[0] = '+';
		shorts[k++] = ':';
	}
	for (int id = 0; id < OPTION_COUNT; id++) {
		const struct option_spec *o = &option_specs[id];
		if (!(c->options >> id & 1))
			continue;
		longs[n++] = (struct option){o->name, o->argument ? required_argument : no_argument,
					     NULL, LONG + id};
		if (!o->letter)
			continue;
		shorts[k++] = o->letter;
		if (o->argument)
			shorts[k++] = ':';
		by_letter[(unsigned char)o->letter] = id;
	}
	opterr = 0;
	for (int got; (got = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
		if (got == ':')
			return usage_error(c, "an argument is missing after", argv[optind - 1]);
		if (got == '?')
			return usage_error(c, "no such option:", argv[optind - 1]);
		int id = got < LONG ? by_letter[got] : got - LONG;
		options.given |= OPTION(id);
		options.value[id] = optarg;
	}
	if (option_given(&options, OPTION_HELP)) {
		print_help(stdout, c);
		return EXIT_SHOWN;
	}
	options.operands = argv + optind;
	options.operand_count = argc - optind;
	if (options.operand_count < c->operands_min)
		return usage_error(c, "an operand is missing:", c->operands);
	if (c->operands_max != OPERANDS_PROGRAM && options.operand_count > c->operands_max)
		return usage_error(c, "one operand too many:", options.operands[c->operands_max]);
	return c->run(&options);
}

/* A file that shrinks while we have it mapped cannot be read on: say so instead of dying mutely. */
static void on_bus_error(int signo)
{
	static const char text[] = "mapcrash: a file was cut short while it was being read\n";
	(void)signo;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(EXIT_NOTHING);
	_exit(EXIT_NOTHING);
}

/* libdw cannot tell its callers that memory is out. */
static void on_no_memory(void)
{
	static const char text[] = "mapcrash: out of memory\n";
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(EXIT_NOTHING);
	_exit(EXIT_NOTHING);
}

int main(int argc, char **argv)
{
	/* Reports can have millions of lines. */
	static char buffer[1 << 16];
	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	setlocale(LC_CTYPE, "C.UTF-8");
	signal(SIGBUS, on_bus_error);
	nomem_exit = on_no_memory;
	if (argc < 2) {
		print_commands(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("mapcrash %s\n", MAPCRASH_VERSION);
		return EXIT_SHOWN;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		const struct command *c = argc > 2 ? command_find(argv[2]) : NULL;
		if (argc > 2 && strcmp(argv[2], "--man") == 0)
			generate_man(stdout);
		else if (argc > 2 && strcmp(argv[2], "--completion") == 0)
			generate_completion(stdout);
		else if (c)
			print_help(stdout, c);
		else
			print_commands(stdout);
		return EXIT_SHOWN;
	}
	const struct command *c = command_find(argv[1]);
	if (!c) {
		fprintf(stderr, "mapcrash: no such command: %s\n", argv[1]);
		print_commands(stderr);
		return EXIT_USAGE;
	}
	return run(c, argc - 1, argv + 1);
}
