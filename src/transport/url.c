/* SPDX-License-Identifier: MIT
 *
 * URLs as AT+QFOTADL takes them. Stricter than RFC 3986 allows: what is odd is refused before
 * anything is sent.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <strings.h>

#include "dfota/transport.h"

/* What is left of the text. */
struct rest {
	const char *at, *end;
};

static bool take_scheme(struct rest *rest, struct dfota_url *url)
{
	static const struct {
		const char *prefix;
		enum dfota_scheme scheme;
		uint16_t port;
	} schemes[] = {
		{ "ftp://", DFOTA_SCHEME_FTP, 21 },
		{ "http://", DFOTA_SCHEME_HTTP, 80 },
		{ "https://", DFOTA_SCHEME_HTTPS, 443 },
	};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t bytes = strlen(schemes[i].prefix);

		if ((size_t)(rest->end - rest->at) < bytes ||
		    strncasecmp(rest->at, schemes[i].prefix, bytes) != 0)
			continue;
		url->scheme = schemes[i].scheme;
		url->port = schemes[i].port;
		rest->at += bytes;
		return true;
	}
	return false;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Value of the escape at `text`; -1 when malformed or a control byte. */
static int escaped(const char *text, const char *end)
{
	int high = end - text > 2 ? hex_digit(text[1]) : -1;
	int low = high >= 0 ? hex_digit(text[2]) : -1;
	int value = high * 16 + low;

	return low < 0 || value < 0x20 || value == 0x7f ? -1 : value;
}

/* Printable ASCII without space and quotes; every escape well formed and printable. */
static bool characters_ok(const struct rest *text)
{
	for (const char *p = text->at; p < text->end; p++) {
		if (*p <= ' ' || *p >= 0x7f || strchr("\"'<>\\^`{|}", *p))
			return false;
		if (*p == '%' && escaped(p, text->end) < 0)
			return false;
	}
	return true;
}

static void copy(char *to, const char *from, const char *end)
{
	size_t bytes = (size_t)(end - from);

	memcpy(to, from, bytes);
	to[bytes] = '\0';
}

static void copy_decoded(char *to, const char *from, const char *end)
{
	for (; from < end; from++) {
		if (*from == '%') {
			*to++ = (char)escaped(from, end);
			from += 2;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
}

/* user[:password]@ in front of the host, for ftp only. */
static bool take_user(struct rest *authority, struct dfota_url *url)
{
	const char *at = memchr(authority->at, '@', (size_t)(authority->end - authority->at));
	const char *colon;

	if (!at)
		return true;
	if (url->scheme != DFOTA_SCHEME_FTP || at == authority->at || *authority->at == ':')
		return false;
	colon = memchr(authority->at, ':', (size_t)(at - authority->at));
	copy_decoded(url->user, authority->at, colon ? colon : at);
	if (colon)
		copy_decoded(url->password, colon + 1, at);
	authority->at = at + 1;
	return true;
}

static bool host_character(char c, bool brackets)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.')
		return true;
	return brackets ? c == ':' : c == '-' || c == '_';
}

static bool take_host(struct rest *authority, struct dfota_url *url)
{
	bool brackets = authority->at < authority->end && *authority->at == '[';
	const char *from = authority->at + brackets, *p = from;
	struct in6_addr address;

	while (p < authority->end && host_character(*p, brackets))
		p++;
	if (p == from || (brackets && (p == authority->end || *p != ']')))
		return false;
	copy(url->host, from, p);
	authority->at = p + brackets;
	return !brackets || inet_pton(AF_INET6, url->host, &address) == 1;
}

static bool take_port(struct rest *authority, struct dfota_url *url)
{
	uint32_t port = 0;

	if (authority->at == authority->end)
		return true;
	if (*authority->at++ != ':' || authority->at == authority->end)
		return false;
	for (; authority->at < authority->end; authority->at++) {
		if (*authority->at < '0' || *authority->at > '9')
			return false;
		port = port * 10 + (uint32_t)(*authority->at - '0');
		if (port > UINT16_MAX)
			return false;
	}
	url->port = (uint16_t)port;
	return port > 0;
}

/* True when a segment is "..", also one that escapes make: servers see the decoded path. */
static bool climbs(const char *path)
{
	for (const char *from = path; from; from = strchr(from, '/')) {
		from += *from == '/';
		if (from[0] == '.' && from[1] == '.' && (from[2] == '/' || !from[2]))
			return true;
	}
	return false;
}

/* The rest, query and all. An ftp path that ends with '/' would be a listing, not a file. */
static bool take_path(const struct rest *rest, struct dfota_url *url)
{
	bool ftp = url->scheme == DFOTA_SCHEME_FTP;
	const char *query = ftp ? NULL : memchr(rest->at, '?', (size_t)(rest->end - rest->at));
	const char *end = query ? query : rest->end;
	char plain[DFOTA_URL_MAX + 1];

	if (end - rest->at < 2 || memchr(rest->at, '#', (size_t)(rest->end - rest->at)))
		return false;
	copy_decoded(plain, rest->at, end);
	if (climbs(plain) || (ftp && plain[strlen(plain) - 1] == '/'))
		return false;
	copy(url->path, rest->at, rest->end);
	return true;
}

int dfota_url_parse(const char *text, size_t bytes, struct dfota_url *ret_url)
{
	struct rest rest = { text, text + bytes }, authority;
	struct dfota_url url = { 0 };
	const char *path;

	if (bytes > DFOTA_URL_MAX || !characters_ok(&rest) || !take_scheme(&rest, &url))
		return DFOTA_E_URL;
	path = memchr(rest.at, '/', (size_t)(rest.end - rest.at));
	if (!path)
		return DFOTA_E_URL;
	authority = (struct rest){ rest.at, path };
	rest.at = path;
	if (!take_user(&authority, &url) || !take_host(&authority, &url) ||
	    !take_port(&authority, &url) || !take_path(&rest, &url))
		return DFOTA_E_URL;
	*ret_url = url;
	return 0;
}

void dfota_url_redact(const struct dfota_url *url, char *ret_text)
{
	static const char *const names[] = { "ftp", "http", "https" };
	static const uint16_t ports[] = { 21, 80, 443 };
	bool brackets = strchr(url->host, ':') != NULL;
	char port[8] = "";
	const char *const pieces[] = {
		names[url->scheme],
		"://",
		url->user,
		*url->password ? ":***" : "",
		*url->user ? "@" : "",
		brackets ? "[" : "",
		url->host,
		brackets ? "]" : "",
		port,
		url->path,
	};
	size_t room = DFOTA_URL_MAX + 7;

	if (url->port != ports[url->scheme])
		snprintf(port, sizeof(port), ":%u", url->port);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		size_t bytes = strnlen(pieces[i], room);

		memcpy(ret_text, pieces[i], bytes);
		ret_text += bytes;
		room -= bytes;
	}
	*ret_text = '\0';
}
