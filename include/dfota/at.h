/* SPDX-License-Identifier: MIT
 *
 * AT engine: bytes in, bytes out, fake clock. Pure: no I/O, no allocation, no global.
 *
 * It splits command lines (V.250), parses parameters, looks commands up in the caller's table, frames
 * responses and result codes, queues URCs so that they never stand inside a response or in data mode,
 * and runs data mode for uploads and downloads. Two ends use it: the module (struct dfota_at) and the host, which
 * shares the grammar of what comes back (struct dfota_at_reader). Rows A1-A4, A8, A10 of the requirements.
 */
#ifndef DFOTA_AT_H
#define DFOTA_AT_H

#include "dfota/bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DFOTA_AT_LINE_MAX      1024 /* bytes of a command line; a longer one is answered ERROR */
#define DFOTA_AT_STRING_MAX    512  /* bytes of a string parameter that AT+QFOTADL accepts */
#define DFOTA_AT_PARAMS_MAX    8
#define DFOTA_AT_OUTPUT_MAX    16384 /* bytes waiting to be taken; URCs wait when it is nearly full */
#define DFOTA_AT_URCS_MAX      32   /* waiting URCs; beyond, the oldest droppable one (percent) goes */
#define DFOTA_AT_URC_MAX       160  /* bytes of a URC's text */
#define DFOTA_AT_ACK_BYTES     1024 /* one 'A' after each so many bytes received */

enum dfota_at_form { DFOTA_AT_TEST, DFOTA_AT_READ, DFOTA_AT_WRITE, DFOTA_AT_EXEC };

struct dfota_at_param {
	enum { DFOTA_AT_OMITTED, DFOTA_AT_NUMBER, DFOTA_AT_STRING } kind;
	uint64_t number;      /* decimal; a number that does not fit makes the line an ERROR */
	const char *text;     /* NUL-terminated, for both kinds; strings without their quotes */
	size_t text_bytes;
};

struct dfota_at_request {
	enum dfota_at_form form;
	const char *name;     /* upper case, as in the table: "+QFOTADL", "I", "E" */
	uint32_t param_count;
	struct dfota_at_param params[DFOTA_AT_PARAMS_MAX];
	uint64_t basic;       /* number after a basic command: ATE1 -> 1; 0 when none */
	bool basic_given;
};

/* What a handler returns: 0 for OK, a positive CME code (400..), or one of these. */
#define DFOTA_AT_OK     0
#define DFOTA_AT_ERROR  (-1) /* plain ERROR in every CMEE mode */
#define DFOTA_AT_DATA   (-2) /* data mode was begun: result code comes when it ends */
#define DFOTA_AT_SILENT (-3) /* no result code (the port is about to go) */

struct dfota_at;

struct dfota_at_command {
	const char *name; /* "+QFOTADL"; basic: "I" */
	uint8_t forms;    /* bit set 1 << enum dfota_at_form; others are ERROR */
	int (*handler)(void *context, struct dfota_at *at, const struct dfota_at_request *request);
};

struct dfota_at_config {
	const struct dfota_at_command *commands; /* const table; the engine adds E V Q S3 S4 S5 &F Z +CMEE A/ itself */
	size_t command_count;
	void *context;
	uint8_t cmee;            /* start value: 0 ERROR, 1 number, 2 text */
	bool cme_always;         /* CME codes of 400 and above are numbers also with cmee 0, as real modules answer */
	uint32_t urc_gap_ms;     /* least time between two URCs; 0 = 100 */
};

/* Receives an upload. `data` may be called with any split. Returning non-zero keeps swallowing and ends with
 * that CME code. `end` is called once, with the bytes received and the checksum; it may say lines of its own with
 * dfota_at_line and may return a CME code.
 */
struct dfota_at_sink {
	int (*data)(void *context, const uint8_t *bytes, size_t count);
	int (*end)(void *context, uint64_t received, uint16_t checksum);
	void *context;
};

/* 16-bit XOR checksum of the file commands: words high byte first, an odd last byte is a high byte. */
struct dfota_at_checksum {
	uint16_t sum;
	bool odd;
};

#define DFOTA_AT_REGISTERS 13 /* S0..S12; S3, S4 and S5 act, the others are kept only */

/* Private state; visible so that the caller owns the memory (about 28 KiB). */
struct dfota_at {
	struct dfota_at_config config;
	uint64_t now_ms;
	/* line editing */
	char line[DFOTA_AT_LINE_MAX + 1]; /* what follows "AT" */
	char last_line[DFOTA_AT_LINE_MAX + 1];
	char scratch[DFOTA_AT_LINE_MAX + 1];
	size_t line_bytes;
	uint64_t line_ms; /* when its last byte came */
	uint8_t line_state;
	bool line_overflow, line_bad;
	bool line_feed_next;  /* the last byte ended a line: a line feed may follow */
	bool line_feed_habit; /* it did after the line before */
	bool echo, verbose, quiet;
	uint8_t s[DFOTA_AT_REGISTERS];
	uint8_t cmee;
	/* output: bytes, and where each piece that goes into one write ends */
	uint8_t output[DFOTA_AT_OUTPUT_MAX];
	size_t output_bytes;
	uint16_t piece_end[DFOTA_AT_URCS_MAX + 8];
	uint32_t piece_count;
	bool piece_open, piece_echo, piece_acks, lines_open, output_overflow;
	/* URCs */
	struct {
		char text[DFOTA_AT_URC_MAX + 1];
		bool droppable;
	} urcs[DFOTA_AT_URCS_MAX];
	uint32_t urc_count;
	uint64_t urc_next_ms;  /* not before */
	uint64_t urc_since_ms; /* the first one waits since */
	bool urcs_held;
	/* data mode */
	uint8_t mode;
	struct dfota_at_sink sink;
	struct dfota_source source;
	uint64_t data_size, data_done, data_timeout_ms, data_last_ms;
	struct dfota_at_checksum data_sum;
	uint8_t escape_count; /* '+' after a guard time, not yet known to be +++ */
	bool ack, connect_out; /* CONNECT has left the engine */
	int data_error;
	char data_name[24];
};

void dfota_at_init(struct dfota_at *at, const struct dfota_at_config *config, uint64_t now_ms);

/* Lets time-outs pass, then takes bytes from the port. Any number, any split; bytes that arrive while output is full must wait with the
 * caller: returns how many were taken. Time never goes back.
 */
size_t dfota_at_input(struct dfota_at *at, const uint8_t *bytes, size_t count, uint64_t now_ms);

/* Copies the next piece of output that belongs into one write() (at most max bytes) and returns its length;
 * 0 = nothing now. A whole response is one piece when it fits `max`, each URC is a piece of its own.
 */
size_t dfota_at_output(struct dfota_at *at, uint8_t *buffer, size_t max, uint64_t now_ms);

/* Lets time-outs pass; returns milliseconds until it wants to be called again (UINT64_MAX: not needed). */
uint64_t dfota_at_tick(struct dfota_at *at, uint64_t now_ms);

/* Queues a URC (text without framing). `droppable`: may be superseded (percent) when the queue is full. Cut
 * at DFOTA_AT_URC_MAX. Returns false if it was dropped.
 */
bool dfota_at_urc(struct dfota_at *at, const char *text, bool droppable);

/* While held, URCs only queue (urc-settle). */
void dfota_at_hold_urcs(struct dfota_at *at, bool hold);

/* The line has gone: output, a line half typed and data mode end without a word (a sink's `end` is not called). Settings
 * and waiting URCs stay.
 */
void dfota_at_hang_up(struct dfota_at *at);

/* True when no output, URC, command or data mode is pending. */
bool dfota_at_idle(const struct dfota_at *at);
bool dfota_at_in_data(const struct dfota_at *at);

/* For handlers: one line of the information response, printf-like; framing is added. */
void dfota_at_line(struct dfota_at *at, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* For handlers that return DFOTA_AT_DATA. Upload: sends CONNECT, takes `size` bytes or until timeout_ms without
 * data or `+++` with 1 s of guard time, then `<name>: <received>,<checksum>` and OK (or the CME code of the
 * sink; a time-out, even with nothing received, is a normal end, as on real modules: what came is kept).
 * The 0xFF that hosts pad the last block with are ignored like all bytes before an "AT", and so is the line feed
 * behind the command's S3: it belongs to the line when it comes before CONNECT went out, or from a host
 * whose line before ended with one too. Acknowledgements that come due together are one piece. A `name` of NULL leaves the
 * last line to the sink's `end`. Download: CONNECT, the source's `size` bytes as the port takes them, then
 * `<name>: <size>,<checksum>` and OK. Read: `CONNECT <size>`, the bytes, OK. `+++` with guard time ends both early, with what
 * went out; other bytes that come meanwhile wait with the caller.
 */
void dfota_at_upload(struct dfota_at *at, const char *name, uint64_t size, uint64_t timeout_ms,
		     bool ack, const struct dfota_at_sink *sink);
void dfota_at_download(struct dfota_at *at, const char *name, uint64_t size,
		       const struct dfota_source *source);
void dfota_at_read(struct dfota_at *at, uint64_t size, const struct dfota_source *source);

/* The last command line that was executed, without its AT; for whoever must know what an answer belongs to. */
const char *dfota_at_last_line(const struct dfota_at *at);

/* Adds bytes to the checksum, which starts zeroed. Any split gives the same. */
void dfota_at_checksum_add(struct dfota_at_checksum *checksum, const uint8_t *bytes, size_t count);

/* English text of a CME code; never NULL. */
const char *dfota_at_cme_text(int code);

/* ---- host's end: what a module sends back ---------------------------------------------------- */

enum dfota_at_event_kind {
	DFOTA_AT_EVENT_LINE,    /* information text or echo */
	DFOTA_AT_EVENT_OK,
	DFOTA_AT_EVENT_ERROR,   /* ERROR, +CME ERROR, +CMS ERROR: value = code or -1 */
	DFOTA_AT_EVENT_CONNECT,
	DFOTA_AT_EVENT_FOTA,    /* +QIND: "FOTA",...: fota and value tell */
	DFOTA_AT_EVENT_URC      /* RDY, POWERED DOWN, +QIND: of other kinds, +CPIN... */
};

enum dfota_at_fota {
	DFOTA_FOTA_FTPSTART, DFOTA_FOTA_FTPEND, DFOTA_FOTA_HTTPSTART, DFOTA_FOTA_HTTPEND,
	DFOTA_FOTA_START, DFOTA_FOTA_UPDATING, DFOTA_FOTA_END, DFOTA_FOTA_OTHER
};

struct dfota_at_event {
	enum dfota_at_event_kind kind;
	enum dfota_at_fota fota;
	int64_t value;      /* FTPEND, HTTPEND, UPDATING, END, CME code; -1 when absent */
	const char *text;   /* the line without CR LF, NUL-terminated; valid until the next call */
	size_t text_bytes;
};

/* Classifies one line: any letter case, any spaces after separators, quotes optional, trailing junk tolerated.
 * Pure and total: every byte string gives an event.
 */
void dfota_at_classify(const char *line, size_t bytes, struct dfota_at_event *ret_event);

/* Splits what the port sends into lines; CR, LF and both end one; over-long lines are cut, NULs dropped. */
struct dfota_at_reader {
	char line[DFOTA_AT_LINE_MAX + 1];
	size_t bytes;
	bool overflow;
};

/* Feeds bytes; returns how many were taken; *ret_ready true when an event was completed (call again with the rest). */
size_t dfota_at_read_line(struct dfota_at_reader *reader, const uint8_t *bytes, size_t count,
			  struct dfota_at_event *ret_event, bool *ret_ready);

#ifdef __cplusplus
}
#endif
#endif
