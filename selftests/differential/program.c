// SPDX-License-Identifier: GPL-2.0
/*
 * Steps of the differential test's programs, as text.
 */
#include <string.h>

#include "test_util.h"

#include "differential/program.h"

#define NAME(name)	#name,
static const char * const party_names[PARTIES] = { "L1", "L2", "user" };
static const char * const operation_names[PARTIES][64] = {
	{ L1_OPERATIONS(NAME) }, { L2_OPERATIONS(NAME) }, { USER_OPERATIONS(NAME) },
};

void step_print(FILE *stream, const struct step *step)
{
	fprintf(stream, "%s %s %#lx %#lx %#lx", party_names[step->party],
		operation_names[step->party][step->operation],
		step->arg[0], step->arg[1], step->arg[2]);
}

static int name_index(const char *name, const char * const *names, int count)
{
	int i;

	for (i = 0; i < count; i++)
		if (names[i] && !strcmp(name, names[i]))
			return i;
	return -1;
}

static bool step_parse(const char *line, struct step *step)
{
	char party[16], operation[32];
	int p, o;

	memset(step, 0, sizeof(*step));
	if (sscanf(line, "%15s %31s %li %li %li", party, operation, (long *)&step->arg[0],
		   (long *)&step->arg[1], (long *)&step->arg[2]) < 2)
		return false;
	p = name_index(party, party_names, PARTIES);
	if (p < 0)
		return false;
	o = name_index(operation, operation_names[p], 64);
	if (o < 0)
		return false;
	step->party = p;
	step->operation = o;
	return true;
}

int program_read(const char *path, struct program *program)
{
	FILE *stream = fopen(path, "r");
	char line[160];
	int number = 0;

	TEST_ASSERT(stream, "%s: %s", path, strerror(errno));
	program->count = 0;
	while (fgets(line, sizeof(line), stream)) {
		number++;
		if (line[0] == '#' || line[0] == '\n')
			continue;
		if (program->count == MAX_STEPS ||
		    !step_parse(line, &program->step[program->count++])) {
			fclose(stream);
			return number;
		}
	}
	fclose(stream);
	return 0;
}
