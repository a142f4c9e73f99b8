/* SPDX-License-Identifier: MIT
 *
 * Many upgrades at a time. One lock holds everything that threads share: which module is next, and
 * what is shown. Modules do not wait for it longer than a table takes to draw.
 */
#include "fleet.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"
#include "events.h"
#include "progress.h"

#define REDRAW_MS  200
#define LINE_MAX_  160
#define TENTH	   10 /* percent between two lines of progress where there is no table */
#define NAME_WIDTH 24

struct member {
	struct fleet *fleet;
	const struct chosen *module;
	struct progress progress;
	bool begun, ended;
	unsigned int told; /* tenths that were told of this stage */
	struct dfota_upgrade_result result;
};

struct fleet {
	const struct fleet_options *options;
	pthread_mutex_t lock;
	struct member *members;
	size_t count, next;
	bool table;
	size_t drawn; /* lines of the table that stand */
	uint64_t drawn_ms;
	int name_width;
};

/* ---- table -------------------------------------------------------------------------------- */

static bool table_fits(size_t count)
{
	struct winsize size;

	return isatty(STDERR_FILENO) && !ioctl(STDERR_FILENO, TIOCGWINSZ, &size) &&
	       count < size.ws_row;
}

static void table_erase(struct fleet *fleet)
{
	if (fleet->drawn)
		fprintf(stderr, "\033[%zuA\r\033[J", fleet->drawn);
	fleet->drawn = 0;
}

static void table_draw(struct fleet *fleet)
{
	table_erase(fleet);
	for (size_t i = 0; i < fleet->count; i++) {
		struct member *member = &fleet->members[i];
		char line[LINE_MAX_] = "waiting";

		if (member->ended)
			snprintf(line, sizeof(line), "%s %s",
				 member->result.error ? "failed     " : "done       ",
				 member->result.to[0] ? member->result.to : member->result.from);
		else if (member->begun)
			progress_line(&member->progress, fleet->name_width + 1, line, sizeof(line));
		fprintf(stderr, "%-*.*s %s\n", fleet->name_width, fleet->name_width,
			member->module->name, line);
	}
	fleet->drawn = fleet->count;
	fleet->drawn_ms = progress_clock_ms();
	(void)fflush(stderr);
}

static void table_tick(struct fleet *fleet)
{
	if (fleet->table && progress_clock_ms() - fleet->drawn_ms >= REDRAW_MS)
		table_draw(fleet);
}

/* A line above the table, or just a line. */
static void say(struct member *member, const char *what, const char *text)
{
	struct fleet *fleet = member->fleet;

	if (fleet->table)
		table_erase(fleet);
	fprintf(stderr, "%s: %s%s\n", member->module->name, what, text);
	if (fleet->table)
		table_draw(fleet);
}

/* ---- events ------------------------------------------------------------------------------- */

static void say_tenth(struct member *member, const struct dfota_upgrade_event *event)
{
	unsigned int tenth =
	    event->total ? (unsigned int)((double)event->done * 10 / (double)event->total) : 0;
	char text[64];

	if (tenth <= member->told)
		return;
	member->told = tenth;
	snprintf(text, sizeof(text), "%u %%", tenth * TENTH);
	say(member, text, "");
}

static void event_text(struct member *member, const struct dfota_upgrade_event *event)
{
	bool table = member->fleet->table;

	switch (event->kind) {
	case DFOTA_UPGRADE_STAGE:
		member->told = 0;
		progress_start(&member->progress, events_label(event->stage),
			       event->stage == DFOTA_STAGE_UPDATE ? 100 : 0, PROGRESS_SHARE, true);
		if (!table)
			say(member, events_label(event->stage), "");
		return;
	case DFOTA_UPGRADE_PROGRESS:
		if (event->stage == DFOTA_STAGE_UPLOAD)
			progress_resize(&member->progress, event->total, PROGRESS_BYTES);
		progress_update(&member->progress, event->done);
		if (!table)
			say_tenth(member, event);
		return;
	case DFOTA_UPGRADE_VERSION:
		if (!table)
			say(member, "version: ", event->text);
		return;
	case DFOTA_UPGRADE_NOTE:
		say(member, event->text, "");
		return;
	case DFOTA_UPGRADE_URC: /* the progress says it */
		return;
	}
}

static void on_event(void *context, const struct dfota_upgrade_event *event)
{
	struct member *member = context;
	struct fleet *fleet = member->fleet;

	pthread_mutex_lock(&fleet->lock);
	if (fleet->options->json) {
		events_put_event(member->module->name, event);
	} else {
		event_text(member, event);
		table_tick(fleet);
	}
	pthread_mutex_unlock(&fleet->lock);
}

static bool stop_asked(void *context)
{
	struct fleet *fleet = ((struct member *)context)->fleet;

	if (fleet->table) {
		pthread_mutex_lock(&fleet->lock);
		table_tick(fleet);
		pthread_mutex_unlock(&fleet->lock);
	}
	return fleet->options->stopped();
}

/* ---- work --------------------------------------------------------------------------------- */

static void run_one(struct member *member)
{
	struct fleet *fleet = member->fleet;
	struct dfota_upgrade upgrade = fleet->options->upgrade;

	upgrade.port = member->module->port;
	upgrade.event = on_event;
	upgrade.context = member;
	upgrade.stop = (struct dfota_host_stop){ stop_asked, member };
	(void)!dfota_upgrade_run(&upgrade, &member->result);
	pthread_mutex_lock(&fleet->lock);
	member->ended = true;
	if (fleet->options->json)
		events_put_result(member->module->name, &member->result);
	else if (fleet->table)
		table_draw(fleet);
	else
		say(member, member->result.message, "");
	pthread_mutex_unlock(&fleet->lock);
}

static void *worker(void *context)
{
	struct fleet *fleet = context;
	struct member *member;

	for (;;) {
		pthread_mutex_lock(&fleet->lock);
		member = fleet->next < fleet->count ? &fleet->members[fleet->next++] : NULL;
		if (member)
			member->begun = true;
		pthread_mutex_unlock(&fleet->lock);
		if (!member)
			return NULL;
		run_one(member);
	}
}

/* This thread works too, so that not being given another one slows things down, and no more. */
static void work(struct fleet *fleet)
{
	pthread_t threads[FLEET_JOBS_MAX];
	size_t want = fleet->options->jobs, have = 0;

	if (want > fleet->count)
		want = fleet->count;
	while (have + 1 < want && !pthread_create(&threads[have], NULL, worker, fleet))
		have++;
	(void)worker(fleet);
	for (size_t i = 0; i < have; i++)
		pthread_join(threads[i], NULL);
}

/* ---- summary ------------------------------------------------------------------------------ */

static unsigned int severity(int code)
{
	static const int order[] = { CLI_DONE, CLI_TIMEOUT, CLI_FAILED, CLI_UNTRUSTED, CLI_USAGE };

	for (unsigned int i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (order[i] == code)
			return i;
	return 0;
}

static const struct member *worst(const struct fleet *fleet)
{
	const struct member *worst = &fleet->members[0];

	for (size_t i = 1; i < fleet->count; i++)
		if (severity(dfota_error_exit(fleet->members[i].result.error)) >
		    severity(dfota_error_exit(worst->result.error)))
			worst = &fleet->members[i];
	return worst;
}

static void result_word(const struct dfota_upgrade_result *result, char *text, size_t room)
{
	if (!result->error)
		snprintf(text, room, "%s", result->nothing_to_do ? "up to date" : "upgraded");
	else if (result->code > 0)
		snprintf(text, room, "code %d", result->code);
	else
		snprintf(text, room, "%s",
			 dfota_error_exit(result->error) == CLI_TIMEOUT ? "no answer" : "failed");
}

static void summary(const struct fleet *fleet)
{
	const char *const none = "-";

	printf("%-*s %-16s %-16s %-10s %s\n", fleet->name_width, "MODULE", "FROM", "TO", "RESULT",
	       "WHAT TO DO");
	for (size_t i = 0; i < fleet->count; i++) {
		const struct dfota_upgrade_result *result = &fleet->members[i].result;
		char word[16];

		result_word(result, word, sizeof(word));
		printf("%-*s %-16s %-16s %-10s %s\n", fleet->name_width,
		       fleet->members[i].module->name, result->from[0] ? result->from : none,
		       result->to[0] ? result->to : none, word,
		       result->error ? result->message : "nothing");
	}
}

static int finish(struct fleet *fleet)
{
	const struct member *last = worst(fleet);
	int code = dfota_error_exit(last->result.error);
	size_t failed = 0;

	for (size_t i = 0; i < fleet->count; i++)
		failed += fleet->members[i].result.error != 0;
	if (fleet->options->json) {
		events_put(json_pack("{s:s,s:I,s:I,s:i,s:i}", "event", "summary", "modules",
				     (json_int_t)fleet->count, "failed", (json_int_t)failed, "code",
				     last->result.error ? last->result.code : 0, "exit", code));
		return code;
	}
	summary(fleet);
	if (failed)
		cli_error(fleet->options->command, "%zu of %zu modules were not upgraded.", failed,
			  fleet->count);
	return code;
}

int fleet_run(const struct fleet_options *options, const struct chosen *modules, size_t count)
{
	struct fleet fleet = { .options = options, .count = count };
	int code;

	fleet.members = calloc(count, sizeof(*fleet.members));
	if (!fleet.members || pthread_mutex_init(&fleet.lock, NULL)) {
		free(fleet.members);
		cli_error(options->command, "not enough memory");
		return CLI_FAILED;
	}
	fleet.name_width = (int)strlen("MODULE");
	for (size_t i = 0; i < count; i++) {
		int width = (int)strlen(modules[i].name);

		fleet.members[i].fleet = &fleet;
		fleet.members[i].module = &modules[i];
		if (width > fleet.name_width)
			fleet.name_width = width < NAME_WIDTH ? width : NAME_WIDTH;
	}
	fleet.table = !options->json && table_fits(count);
	work(&fleet);
	if (fleet.table)
		table_draw(&fleet);
	code = finish(&fleet);
	(void)pthread_mutex_destroy(&fleet.lock);
	free(fleet.members);
	return code;
}
