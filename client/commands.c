// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The table.

#include "commands.h"

#include "attest_gate.h"
#include "command_create.h"
#include "handlers.h"

#include <assert.h>

static_assert(OPTION_COUNT <= 64, "options are bits of a 64-bit number");

#define UP_OPTIONS                                                                     \
	(OPTION_BIT(ATTACH) | OPTION_BIT(DEMO) | OPTION_BIT(QR) | OPTION_BIT(OUTPUT) | \
		OPTION_BIT(QUIET) | OPTION_BIT(REQUIRE_BACKEND) | OPTION_BIT(RECONNECT_AFTER))
#define OPTIONS_SERVER  (OPTION_BIT(SERVER) | OPTION_BIT(TOKEN_FILE) | OPTION_BIT(CA))
#define OPTIONS_ACCOUNT (OPTIONS_SERVER | OPTIONS_ATTEST)

const struct option_def option_table[OPTION_COUNT] = {
	[OPTION_HELP] = {"help", 'h', NULL, NULL, "print this and exit", NULL},
	[OPTION_SERVER] = {"server", 's', "URL", NULL,
		"the server (else TUNNEL_SERVER, the configuration file, http://127.0.0.1:8080)",
		".Ar URL\n"
		"is http, https, ws (the same as http) or wss (the same as https)\n"
		"with a name or address and, if need be, a port.\n"},
	[OPTION_TOKEN_FILE] = {"token-file", '\0', "FILE", NULL,
		"read the token from FILE (-: standard input); else TUNNEL_TOKEN or the "
		"configuration file",
		"There is no option for the token itself: every user of a machine can read\n"
		"command lines.\n"},
	[OPTION_CA] = {"ca", '\0', "FILE", NULL,
		"trust the certificates in FILE (PEM) and no others when the server uses TLS",
		NULL},
	[OPTION_JSON] = {"json", '\0', NULL, NULL, "print JSON, for programs", NULL},
	[OPTION_ALL] = {"all", 'a', NULL, NULL, "list tunnels that are over as well", NULL},
	[OPTION_TIMEOUT] = {"timeout", 't', "TIME", NULL,
		"when it ends: 15m, 2h, 1d12h, 2026-01-31T12:00Z (else what the server has set)",
		"A number alone is seconds, or from 1000000000 on seconds since the epoch.\n"
		"A point in time without a zone is local time.\n"},
	[OPTION_AUTH] = {"auth", '\0', "HOW", "bearer basic none",
		"how visitors show the secret (bearer)",
		"With\n.Cm none\nwhoever has the URL gets in.\n"},
	[OPTION_NAME] = {"name", 'n', "TEXT", NULL, "a name for it, for people", NULL},
	[OPTION_PREFIX] = {"prefix", '\0', "WHAT", "strip keep",
		"whether the service sees /path or /t/ID/path (strip)", NULL},
	[OPTION_ORIGIN] = {"origin", '\0', "KIND", "path port wildcard",
		"which kind of address (the best that the server has)",
		".Cm port\n"
		"and\n"
		".Cm wildcard\n"
		"are web origins of the tunnel's own, with\n"
		".Cm path\n"
		"it shares one with others.\n"},
	[OPTION_CONNECTIONS] = {"connections", '\0', "N", NULL,
		"at most N connections of visitors at once", NULL},
	[OPTION_REQUESTS] = {"requests", '\0', "N", NULL, "it ends with its Nth request", NULL},
	[OPTION_BYTES] = {"bytes", '\0', "N", NULL,
		"it ends when N bytes have gone through (k, M, G: thousands)", NULL},
	[OPTION_RATE] = {"rate", '\0', "N", NULL, "at most N requests a second", NULL},
	[OPTION_QUOTE] = {"quote", '\0', "FILE", NULL, "verify this evidence and ask nobody",
		"It may be a quote, its hex, JSON with a member\n"
		".Cm quote ,\n"
		"an RA-TLS certificate or the attestation of a dstack machine.\n"},
	[OPTION_EVENT_LOG] = {"event-log", '\0', "FILE", NULL,
		"the event log beside the quote (JSON)", NULL},
	[OPTION_APP_COMPOSE] = {"app-compose", '\0', "FILE", NULL,
		"the application definition that was measured", NULL},
	[OPTION_COLLATERAL] = {"collateral", '\0', "FILE", NULL,
		"what Intel says about platforms of this kind (JSON)",
		"Without it the verdict can be no better than\n"
		".Cm authentic-no-tcb .\n"},
	[OPTION_REPORT_DATA] = {"report-data", '\0', "HEX", NULL,
		"the 64 bytes for which the quote has to have been made", NULL},
	[OPTION_SPKI] = {"spki", '\0', "FILE", NULL,
		"the key (or certificate) for which an RA-TLS quote has to have been made", NULL},
	[OPTION_ROOT_CA] = {"root-ca", '\0', "FILE", NULL,
		"trust this root in place of Intel's: for tests", NULL},
	[OPTION_POLICY] = {"policy", '\0', "FILE", NULL,
		"which systems, applications and programs to accept (JSON)", NULL},
	[OPTION_AT] = {"at", '\0', "TIME", NULL,
		"check as of this time (2026-01-31T12:00:00Z; else now)", NULL},
	[OPTION_ATTEST] = {"attest", '\0', "MODE", "require warn off",
		"whether the server's evidence has to pass (require, or off for this machine)",
		"With\n"
		".Cm require\n"
		"nothing is sent to a server before its evidence has passed, and later\n"
		"connections have to end at a key of the instance it is about.\n"},
	[OPTION_TUNNEL] = {"tunnel", '\0', "ID", NULL,
		"the tunnel to be verified, when the URL does not have its id", NULL},
	[OPTION_NONCE] = {"nonce", '\0', "HEX", NULL,
		"the nonce with which the document was asked for", NULL},
	[OPTION_FRESH] = {"fresh", '\0', NULL, NULL,
		"ask for a quote made for this question (slow, and rate limited)", NULL},
	[OPTION_SAVE] = {"save", '\0', "DIR", NULL,
		"keep the evidence in DIR, for --offline and other programs", NULL},
	[OPTION_OFFLINE] = {"offline", '\0', NULL, NULL, "check what was saved; open no connection",
		NULL},
	[OPTION_ATTACH] = {"attach", '\0', "TUNNEL", NULL,
		"serve this tunnel, which was made without a backend, instead of making one",
		"Several may serve one tunnel and share the load.\n"
		"It is not ended by Ctrl-C then.\n"},
	[OPTION_DEMO] = {"demo", '\0', NULL, NULL,
		"share a built-in page instead: hello, an echo, a WebSocket", NULL},
	[OPTION_QR] = {"qr", '\0', NULL, NULL, "draw the link as a QR code as well", NULL},
	[OPTION_OUTPUT] = {"output", 'o', "FORM", "text json",
		"how to tell what happens (text); json: an object a line on standard output",
		"The objects have the member\n"
		".Cm event :\n"
		".Cm ready , request , reconnect , expiring , note , closed .\n"},
	[OPTION_QUIET] = {"quiet", 'q', NULL, NULL, "print the URL, and little else", NULL},
	[OPTION_REQUIRE_BACKEND] = {"require-backend", '\0', NULL, NULL,
		"fail at once when nothing answers at the target", NULL},
	[OPTION_RECONNECT_AFTER] = {"reconnect-after", '\0', "TIME", NULL,
		"replace the connection to the server when it is so old (4h)",
		"Gateways cut connections after some hours.\n"
		"The next one is there before the old one goes, and no request is lost.\n"},
	[OPTION_LOCAL] = {"local", 'L', "[ADDR:]PORT", NULL,
		"listen there (127.0.0.1 without ADDR; port 0: any that is free)", NULL},
	[OPTION_SECRET_FILE] = {"secret-file", '\0', "FILE", NULL,
		"read the tunnel's secret from FILE (-: standard input); else from the URL, or "
		"TUNNEL_SECRET",
		NULL},
};

#define OPTIONS_VERIFY                                                                           \
	(OPTION_BIT(QUOTE) | OPTION_BIT(EVENT_LOG) | OPTION_BIT(APP_COMPOSE) |                   \
		OPTION_BIT(COLLATERAL) | OPTION_BIT(REPORT_DATA) | OPTION_BIT(SPKI) |            \
		OPTION_BIT(ROOT_CA) | OPTION_BIT(POLICY) | OPTION_BIT(AT) | OPTION_BIT(TUNNEL) | \
		OPTION_BIT(NONCE) | OPTION_BIT(FRESH) | OPTION_BIT(SAVE) | OPTION_BIT(OFFLINE))

const struct command command_table[] = {
	{
		.name = "up",
		.operands = "[TARGET]",
		.max_operands = 1,
		.options = OPTIONS_ACCOUNT | CREATE_OPTIONS | UP_OPTIONS | OPTION_BIT(JSON),
		.implied = true,
		.run = up_run,
		.summary = "share a service: a port, host:port, URL or unix:PATH; prints its URL",
		.manual =
			"Makes a tunnel and serves it until it ends or Ctrl-C is pressed, which ends it;\n"
			"a second Ctrl-C does not wait for the server.\n"
			"The word\n"
			".Cm up\n"
			"may be left out.\n"
			".Ar TARGET\n"
			"is a port of this machine, host:port, an http, https or tcp URL,\n"
			".Ql https+insecure:host:port\n"
			"for a certificate that is not to be checked, or\n"
			".Ql unix:path .\n"
			"The URL is printed to standard output once visitors can come; how they get in, a\n"
			"line for each request, and warnings five minutes and one minute before the end go to\n"
			"standard error.\n"
			"When the connection to the server is lost it is made again, for the same URL.\n",
	},
	{
		.name = "connect",
		.operands = "URL",
		.min_operands = 1,
		.max_operands = 1,
		.options = OPTION_BIT(LOCAL) | OPTION_BIT(SECRET_FILE) | OPTION_BIT(CA) |
			   OPTIONS_ATTEST | OPTION_BIT(JSON),
		.run = connect_run,
		.summary = "lead a local port through a tunnel for TCP, until Ctrl-C",
		.manual =
			"For\n"
			".Ql psql ,\n"
			".Ql ssh\n"
			"or VNC: what connects to the port comes out at the target of the tunnel, which\n"
			"has to be a tcp one.\n"
			"The address that is listened on is printed to standard output.\n"
			"A secret behind the # of the\n"
			".Ar URL\n"
			"can be seen by other users of this machine as long as the command runs;\n"
			"without it\n"
			".Ev TUNNEL_SECRET\n"
			"or\n"
			".Fl -secret-file\n"
			"is used.\n",
	},
	{
		.name = "create",
		.operands = "[BACKEND]",
		.max_operands = 1,
		.options = OPTIONS_ACCOUNT | CREATE_OPTIONS | OPTION_BIT(JSON),
		.run = create_run,
		.summary = "make a tunnel to a URL, port or host:port; prints its URL",
		.manual = "The server connects to\n"
			  ".Ar BACKEND :\n"
			  "an http, https or tcp URL, or a port or host:port for http.\n"
			  "It is seen from the server:\n"
			  ".Ql 3000\n"
			  "is a port of the machine where\n"
			  ".Xr tunneld 8\n"
			  "runs.\n"
			  "Without\n"
			  ".Ar BACKEND\n"
			  "an agent connects to the server and serves the tunnel.\n"
			  "The URL is printed to standard output, the secret and how to use it to\n"
			  "standard error; with\n"
			  ".Fl -json\n"
			  "everything to standard output.\n",
	},
	{
		.name = "ls",
		.operands = "",
		.options = OPTIONS_ACCOUNT | OPTION_BIT(ALL) | OPTION_BIT(JSON),
		.run = ls_run,
		.summary = "list your tunnels",
	},
	{
		.name = "show",
		.operands = "TUNNEL",
		.min_operands = 1,
		.max_operands = 1,
		.options = OPTIONS_ACCOUNT | OPTION_BIT(JSON),
		.run = show_run,
		.summary = "show a tunnel and what has gone through it",
		.manual = ".Ar TUNNEL ,\n"
			  "here and below, is an id or a URL of the tunnel.\n",
	},
	{
		.name = "extend",
		.operands = "TUNNEL TIME",
		.min_operands = 2,
		.max_operands = 2,
		.options = OPTIONS_ACCOUNT | OPTION_BIT(JSON),
		.run = extend_run,
		.summary = "move the end of a tunnel",
		.manual = ".Ar TIME\n"
			  "is counted from now, as with\n"
			  ".Fl -timeout .\n",
	},
	{
		.name = "rm",
		.operands = "TUNNEL...",
		.min_operands = 1,
		.max_operands = OPERANDS_ANY,
		.options = OPTIONS_ACCOUNT | OPTION_BIT(JSON),
		.run = rm_run,
		.summary = "end tunnels at once, and every connection of theirs",
	},
	{
		.name = "events",
		.operands = "",
		.options = OPTIONS_ACCOUNT | OPTION_BIT(JSON),
		.run = events_run,
		.summary = "follow what happens to your tunnels, until Ctrl-C",
		.manual =
			"When the connection is lost it is made again, and what happened meanwhile is\n"
			"told then.\n"
			"With\n"
			".Fl -json\n"
			"every event is a line with the members\n"
			".Cm event , id\n"
			"and\n"
			".Cm data .\n",
	},
	{
		.name = "login",
		.operands = "[URL]",
		.max_operands = 1,
		.options = OPTIONS_ACCOUNT,
		.run = login_run,
		.summary = "store server and token in the configuration file",
		.manual = "Asks for what was not given, for the token without showing it.\n"
			  "If standard input is no terminal, the token is its first line.\n"
			  "They are stored only if the server accepts the token; what\n"
			  ".Fl -ca , -attest , -policy\n"
			  "and\n"
			  ".Fl -collateral\n"
			  "say is stored with them and holds for every command.\n",
	},
	{
		.name = "logout",
		.operands = "",
		.run = logout_run,
		.summary = "remove the token from the configuration file",
	},
	{
		.name = "doctor",
		.operands = "",
		.options = OPTIONS_SERVER | OPTION_BIT(JSON),
		.run = doctor_run,
		.summary = "find out why the server cannot be reached",
		.manual =
			"Goes the way to the server step by step, and says of each whether it works,\n"
			"and if not, what to do.\n",
	},
	{
		.name = "verify",
		.operands = "[URL|FILE]",
		.max_operands = 1,
		.options = OPTIONS_VERIFY | OPTION_BIT(JSON),
		.run = verify_run,
		.summary = "check the evidence for what relays a tunnel",
		.manual =
			"Asks the server at\n"
			".Ar URL ,\n"
			"by a TLS connection of its own, what it is, and checks the answer down to\n"
			"the processor that signed for it: a line for each check, with the reason\n"
			"where it fails.\n"
			"A URL with the id of a tunnel asks about that tunnel.\n"
			".Ar FILE\n"
			"is a document that was fetched by other means, or the folder that\n"
			".Fl -save\n"
			"has written.\n"
			"With\n"
			".Fl -quote\n"
			"bare evidence is checked: what is not given is not compared then.\n"
			"The last line is the verdict:\n"
			".Cm rejected ,\n"
			".Cm authentic-no-tcb\n"
			"or what Intel calls the state of the platform, such as\n"
			".Cm UpToDate .\n"
			"The exit status is 0 only if every check has passed and the policy\n"
			"accepts that state, else 6.\n",
	},
	{
		.name = "version",
		.operands = "",
		.options = OPTION_BIT(JSON),
		.run = version_run,
		.summary = "print the version of this program",
	},
	{
		.name = "completion",
		.operands = "bash",
		.min_operands = 1,
		.max_operands = 1,
		.run = completion_run,
		.summary = "print completion for bash",
		.manual = "To have it in every shell, put\n"
			  ".Ql source <(tunnel completion bash)\n"
			  "into\n"
			  ".Pa ~/.bashrc .\n",
	},
};
const size_t command_count = ARRAY_SIZE(command_table);
