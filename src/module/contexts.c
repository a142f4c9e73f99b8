/* SPDX-License-Identifier: MIT
 *
 * PDP contexts and their record.
 */
#include "contexts.h"

#define CONTEXTS_TAG  0x54585443u /* "CTXT" */
#define LAYOUT        1u
#define ENTRY_BYTES   (1u + CONTEXT_TYPE_MAX + 1u + CONTEXT_APN_MAX + 1u)
#define PAYLOAD_BYTES (4u + MODULE_CONTEXTS_MAX * ENTRY_BYTES)

_Static_assert(PAYLOAD_BYTES <= DFOTA_RECORD_PAYLOAD_MAX, "all contexts fit one record");

static bool load(struct contexts *contexts)
{
	size_t bytes;
	const uint8_t *p = dfota_record_get(&contexts->record.store, &bytes);

	if (!p || bytes != PAYLOAD_BYTES || dfota_get32(p) != LAYOUT)
		return false;
	p += 4;
	for (int i = 0; i < MODULE_CONTEXTS_MAX; i++, p += ENTRY_BYTES) {
		struct context *c = &contexts->contexts[i];

		c->defined = p[0] == 1;
		memcpy(c->type, p + 1, CONTEXT_TYPE_MAX);
		memcpy(c->apn, p + 1 + CONTEXT_TYPE_MAX + 1, CONTEXT_APN_MAX);
	}
	return true;
}

static int save(struct contexts *contexts)
{
	uint8_t payload[PAYLOAD_BYTES] = { 0 }, *p = payload + 4;

	dfota_put32(payload, LAYOUT);
	for (int i = 0; i < MODULE_CONTEXTS_MAX; i++, p += ENTRY_BYTES) {
		const struct context *c = &contexts->contexts[i];

		p[0] = c->defined;
		memcpy(p + 1, c->type, strlen(c->type));
		memcpy(p + 1 + CONTEXT_TYPE_MAX + 1, c->apn, strlen(c->apn));
	}
	return dfota_record_put(&contexts->record.store, payload, sizeof(payload));
}

int contexts_open(struct contexts *contexts, const char *path)
{
	int error;

	memset(contexts, 0, sizeof(*contexts));
	error = module_record_open(&contexts->record, path, CONTEXTS_TAG);
	if (!error && !load(contexts)) {
		contexts->contexts[0].defined = true;
		memcpy(contexts->contexts[0].type, "IP", 3);
	}
	return error;
}

void contexts_close(struct contexts *contexts)
{
	module_record_close(&contexts->record);
}

static struct context *find(struct contexts *contexts, uint64_t id)
{
	return id >= 1 && id <= MODULE_CONTEXTS_MAX ? &contexts->contexts[id - 1] : NULL;
}

static bool apn_ok(const char *apn)
{
	size_t bytes = strlen(apn);

	for (size_t i = 0; i < bytes; i++)
		if (apn[i] <= 0x20 || apn[i] > 0x7e || apn[i] == '"')
			return false;
	return bytes <= CONTEXT_APN_MAX;
}

static bool type_ok(const char *type)
{
	return strcmp(type, "IP") == 0 || strcmp(type, "IPV6") == 0 || strcmp(type, "IPV4V6") == 0;
}

int contexts_define(struct contexts *contexts, uint64_t id, const char *type, const char *apn)
{
	struct context *c = find(contexts, id), old, new = { .defined = type != NULL };
	int error;

	if (!c || (type && (!type_ok(type) || !apn_ok(apn))))
		return DFOTA_E_ARGUMENT;
	if (c->active || contexts->claimed == id)
		return DFOTA_E_BUSY;
	old = *c;
	if (type) {
		memcpy(new.type, type, strlen(type));
		memcpy(new.apn, apn, strlen(apn));
	}
	*c = new;
	error = save(contexts);
	if (error)
		*c = old;
	return error;
}

static bool same_apn(const struct context *a, const struct context *b)
{
	return a == b || strcmp(a->apn, b->apn) == 0;
}

int contexts_activate(struct contexts *contexts, uint64_t id, bool active)
{
	struct context *c = find(contexts, id);

	if (!c || !c->defined)
		return DFOTA_E_NOT_FOUND;
	if (active && contexts->claimed && same_apn(c, &contexts->contexts[contexts->claimed - 1]))
		return DFOTA_E_BUSY;
	c->active = active;
	return 0;
}

int contexts_claim(struct contexts *contexts, uint64_t id)
{
	struct context *c = find(contexts, id);

	if (!c || !c->defined)
		return DFOTA_E_NOT_FOUND;
	for (int i = 0; i < MODULE_CONTEXTS_MAX; i++)
		if (contexts->contexts[i].active && same_apn(c, &contexts->contexts[i]))
			return DFOTA_E_BUSY;
	contexts->claimed = (uint32_t)id;
	return 0;
}

void contexts_release(struct contexts *contexts)
{
	contexts->claimed = 0;
}
