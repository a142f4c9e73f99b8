/* SPDX-License-Identifier: MIT
 *
 * Opens both images and pairs their files.
 */
#include "content_pair.h"

#include <stdlib.h>

#include "content_open.h"

static int (*const openers[])(const uint8_t *, uint64_t, struct content_files *) = {
	content_open_ext4,
	content_open_squashfs,
	content_open_tar,
	content_open_cpio,
};

int content_open(const uint8_t *image, uint64_t bytes, struct content_files *files)
{
	struct content_file *whole;

	for (size_t i = 0; i < sizeof(openers) / sizeof(openers[0]); i++) {
		int r = openers[i](image, bytes, files);

		if (r < 0 || files->count > 0)
			return r;
	}
	whole = content_files_add(files, "", bytes);
	return whole ? content_file_extend(whole, 0, 0, bytes) : DFOTA_E_MEMORY;
}

/* ---- pairing --------------------------------------------------------------------------------- */

struct key {
	char *text;
	size_t place; /* in its list */
	const struct content_file *file;
};

struct keys {
	struct key *items;
	size_t count;
};

/* What files are compared by, coarser from one to the next. */
enum { BY_PATH, BY_PATH_WITHOUT_DIGITS, BY_NAME_WITHOUT_DIGITS, PASSES };

static void keys_free(struct keys *keys)
{
	for (size_t i = 0; i < keys->count; i++)
		free(keys->items[i].text);
	free(keys->items);
	*keys = (struct keys){ 0 };
}

static char *key_text(const char *path, int pass)
{
	const char *slash = strrchr(path, '/');
	char *text = strdup(pass == BY_NAME_WITHOUT_DIGITS && slash ? slash + 1 : path), *to = text;

	if (!text || pass == BY_PATH)
		return text;
	for (const char *from = text; *from; from++)
		if (*from < '0' || *from > '9')
			*to++ = *from;
	*to = 0;
	return text;
}

static int compare_keys(const void *a, const void *b)
{
	const struct key *x = a, *y = b;
	int order = strcmp(x->text, y->text);

	if (order != 0)
		return order;
	return x->place < y->place ? -1 : x->place > y->place;
}

/* Keys of the files that are not taken yet, sorted. */
static int keys_make(struct keys *keys, const struct content_files *files, const bool *taken,
		     int pass)
{
	*keys = (struct keys){ .items = calloc(files->count + 1, sizeof(*keys->items)) };
	if (!keys->items)
		return DFOTA_E_MEMORY;
	for (size_t i = 0; i < files->count; i++) {
		const struct content_file *file = &files->items[i];
		struct key key = { NULL, i, file };

		if (taken[i] || file->bytes == 0)
			continue;
		key.text = key_text(file->path, pass);
		if (!key.text)
			return DFOTA_E_MEMORY;
		keys->items[keys->count++] = key;
	}
	qsort(keys->items, keys->count, sizeof(*keys->items), compare_keys);
	return 0;
}

/* Equal keys are paired in the order in which their files stand. */
static void keys_join(struct content_pairs *pairs, const struct keys *old, const struct keys *new,
		      bool *old_taken, bool *new_taken)
{
	size_t i = 0, j = 0;

	while (i < old->count && j < new->count) {
		const struct key *x = &old->items[i], *y = &new->items[j];
		int order = strcmp(x->text, y->text);

		if (order == 0) {
			pairs->items[pairs->count++] = (struct content_pair){ x->file, y->file };
			old_taken[x->place] = new_taken[y->place] = true;
		}
		i += order <= 0;
		j += order >= 0;
	}
}

static int pass_make(struct content_pairs *pairs, const struct content_files *old_files,
		     const struct content_files *new_files, bool *old_taken, bool *new_taken,
		     int pass)
{
	struct keys old = { 0 }, new = { 0 };
	int r = keys_make(&old, old_files, old_taken, pass);

	if (r == 0)
		r = keys_make(&new, new_files, new_taken, pass);
	if (r == 0)
		keys_join(pairs, &old, &new, old_taken, new_taken);
	keys_free(&old);
	keys_free(&new);
	return r;
}

int content_pairs_make(struct content_pairs *pairs, const struct content_files *old_files,
		       const struct content_files *new_files)
{
	bool *old_taken = calloc(old_files->count + 1, sizeof(*old_taken));
	bool *new_taken = calloc(new_files->count + 1, sizeof(*new_taken));
	int r = 0;

	*pairs =
	    (struct content_pairs){ .items = calloc(new_files->count + 1, sizeof(*pairs->items)) };
	if (!old_taken || !new_taken || !pairs->items)
		r = DFOTA_E_MEMORY;
	for (int pass = 0; pass < PASSES && r == 0; pass++)
		r = pass_make(pairs, old_files, new_files, old_taken, new_taken, pass);
	free(old_taken);
	free(new_taken);
	if (r < 0)
		content_pairs_free(pairs);
	return r;
}

void content_pairs_free(struct content_pairs *pairs)
{
	free(pairs->items);
	*pairs = (struct content_pairs){ 0 };
}
