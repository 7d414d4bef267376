// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Every key of tunneld, in alphabetical order: name, form, default, bounds, and its words in the
// manual. A new key needs a row here and a member in struct options; everything else follows.

#include "options_table.h"

#define KEY(member) .name = #member, .offset = offsetof(struct options, member)

#define MINUTE 60
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

const struct option_def option_table[OPTION_KEYS] = {
	{
		KEY(abuse_contact),
		.type = OPTION_CONTACT,
		.computed = "empty, pages name nobody",
		.help = "where pages say to report abuse: mailto:ADDRESS or an https URL",
		.manual = "For example\n"
			  ".Ql mailto:abuse@example.org .\n"
			  "Every page that visitors get of\n"
			  ".Xr tunneld 8\n"
			  "itself leads there; pages of services behind tunnels are left alone.\n",
	},
	{
		KEY(agent_grace),
		.type = OPTION_DURATION,
		.fallback = "10s",
		.max = 5 * MINUTE,
		.help = "longest wait of a visitor of a pull tunnel that has no agent",
		.manual =
			"Agents that come back within it are not missed: requests wait for them.\n"
			"Then visitors get status 503.\n",
	},
	{
		KEY(agent_memory),
		.type = OPTION_NUMBER,
		.fallback = "2048",
		.min = 64,
		.max = 1048576,
		.unit = "MiB",
		.help = "memory of all pull tunnels for what their visitors do not read",
		.manual =
			"Each pull tunnel that is there gets a share of it: half, a quarter, an eighth\n"
			"and so on, 128 MiB at most.\n"
			"When a quarter of a share is full its agents may send less at a time; when\n"
			"it is all full the visitor that most is kept for is cut off.\n",
	},
	{
		KEY(agent_rate),
		.type = OPTION_NUMBER,
		.fallback = "120",
		.max = 1000000,
		.unit = "connections a minute",
		.help = "connections that the agents of a tunnel may make a minute; 0: no limit",
		.manual = "What goes beyond is answered with status 429.\n",
	},
	{
		KEY(api_timeout),
		.type = OPTION_DURATION,
		.fallback = "10s",
		.min = 1,
		.max = 5 * MINUTE,
		.help = "longest wait for a body sent to the API, or for its client to read on",
		.manual =
			"A body that is not complete then is answered with status 408; a client that\n"
			"takes nothing of its answer for so long is cut off.\n",
	},
	{
		KEY(api_token),
		.type = OPTION_SECRET,
		.computed = "the content of api_token_file",
		.help = "owner token itself; from the environment or a private file only",
		.manual =
			"At least 16 letters, digits and\n"
			".Ql -._~+/= .\n"
			"It is refused on the command line, where every user of the machine could\n"
			"read it, and in a configuration file that group or others may read.\n"
			"When it is set,\n"
			".Cm api_token_file\n"
			"is not looked at.\n",
	},
	{
		KEY(api_token_file),
		.type = OPTION_PATH,
		.computed = "owner-token in state_dir",
		.help = "file with the owner token; made if it is not there",
		.manual = "Whoever has the owner token may create, list and end every tunnel.\n"
			  "The file holds it on one line.\n"
			  "It must belong to the user that starts\n"
			  ".Xr tunneld 8\n"
			  "or to root, and be closed to group and others.\n"
			  "If there is no such file, a new random token is written to it.\n",
	},
	{
		KEY(attestation),
		.type = OPTION_WORD,
		.fallback = "auto",
		.words = {{"auto", ATTESTATION_AUTO}, {"require", ATTESTATION_REQUIRE},
			{"off", ATTESTATION_OFF}},
		.help = "whether there is evidence of what runs here",
		.manual =
			"With\n"
			".Ql auto\n"
			"statements and receipts are signed on every machine; what makes them worth\n"
			"something is a quote of the hardware, where there is one.\n"
			"With\n"
			".Ql require\n"
			".Ql /readyz\n"
			"has status 503 until there is a quote.\n"
			"With\n"
			".Ql off\n"
			"there is no attestor process, no evidence and no receipts.\n",
	},
	{
		KEY(backend_allow),
		.type = OPTION_RULES,
		.computed = "empty, they may have none",
		.help = "networks that scoped tokens may have as backends (list)",
		.manual =
			"Each entry is an address or a network, with a port or without:\n"
			".Ql 10.0.0.0/8 ,\n"
			".Ql 10.1.2.3:443 ,\n"
			".Ql fd00::/8 ,\n"
			".Ql [fd00::]/8:443 .\n"
			"The address that is dialled is what counts, after a name has been resolved.\n"
			"An IPv6 address that stands for an IPv4 one\n"
			".Pq mapped, NAT64, 6to4\n"
			"is judged as that.\n"
			"The list binds tunnels made with scoped tokens, not those of the owner\n"
			"token; without it scoped tokens can make no tunnels.\n"
			".Cm backend_deny\n"
			"binds everybody.\n",
	},
	{
		KEY(backend_deny),
		.type = OPTION_RULES,
		.computed = "empty, nothing more is denied",
		.help = "networks that nobody may have as a backend (list)",
		.manual =
			"Written as\n"
			".Cm backend_allow ,\n"
			"looked at before it, and binding for the owner token too.\n"
			"Always denied, without being named here, are unspecified, multicast,\n"
			"broadcast and link-local addresses, the metadata addresses of clouds, and\n"
			"the addresses\n"
			".Xr tunneld 8\n"
			"itself listens on.\n",
	},
	{
		KEY(backend_reuse),
		.type = OPTION_WORD,
		.fallback = "visitor",
		.words = {{"visitor", REUSE_VISITOR}, {"shared", REUSE_SHARED}},
		.help = "who may use an idle connection to the backend again",
		.manual =
			"With\n"
			".Ql visitor ,\n"
			"only the visitor connection it was opened for.\n"
			"With\n"
			".Ql shared ,\n"
			"any visitor of the same tunnel: fewer connections, but a backend that mixes\n"
			"up its answers then mixes up visitors.\n",
	},
	{
		KEY(collateral),
		.type = OPTION_PATH,
		.computed = "empty, there is none",
		.help = "Intel's collateral, to be passed on: a file, or an http:// URL",
		.manual =
			"A JSON object of TCB info, QE identity and revocation lists with their\n"
			"chains, at most 512 KiB, in the form that verifiers read.\n"
			"It is passed on as it is.\n"
			"A file is read once, at the start.\n"
			"A URL is fetched at the start and every day, and again after 1 s to an hour\n"
			"when that fails; what there is stays meanwhile.\n"
			"It has to begin with\n"
			".Ql http:// :\n"
			"all of it is signed by Intel, and verifiers see when it has been spoilt or\n"
			"is too old.\n"
			"The address policy judges it like a backend of the owner's.\n"
			"Without it verifiers get it elsewhere.\n",
	},
	{
		KEY(connect_timeout),
		.type = OPTION_DURATION,
		.fallback = "5s",
		.min = 1,
		.max = MINUTE,
		.help = "longest wait for a connection to the backend",
		.manual = "Visitors get status 504 after it.\n",
	},
	{
		KEY(control_listen),
		.type = OPTION_ADDRESSES,
		.computed = "empty, the API is served where visitors come",
		.help = "addresses for the API, as an origin of its own (list)",
		.manual = "Written as\n"
			  ".Cm listen .\n"
			  "There is no tunnel on them.\n"
			  "When there is one, what needs a token is answered on the addresses for\n"
			  "visitors with status 404.\n"
			  "Browsers find the dashboard there, at\n"
			  ".Ql / .\n"
			  "Asked for by a name other than\n"
			  ".Ql localhost\n"
			  "or an IP address these addresses answer with status 421, unless\n"
			  ".Cm control_url\n"
			  "has it.\n",
	},
	{
		KEY(control_url),
		.type = OPTION_URL,
		.computed = "empty, by an IP address or localhost only",
		.help = "where browsers reach control_listen: http or https URL without a path",
		.manual = "Set it when they come by a name, through a proxy that ends TLS for\n"
			  "example.\n"
			  "That name is answered too, then.\n",
	},
	{
		KEY(create_rate),
		.type = OPTION_NUMBER,
		.fallback = "600",
		.max = 1000000,
		.unit = "tunnels a minute",
		.help = "tunnels that one token may create a minute; 0: no limit",
		.manual = "What goes beyond is answered with status 429.\n",
	},
	{
		KEY(default_timeout),
		.type = OPTION_DURATION,
		.fallback = "1h",
		.min = 1,
		.max = DAY,
		.help = "life of a tunnel created without a timeout",
		.manual =
			"It cannot be more than\n"
			".Cm max_timeout .\n"
			"If only that is set, and to less than the default here, both are the same.\n",
	},
	{
		KEY(dstack_socket),
		.type = OPTION_PATH,
		.computed = "$DSTACK_SIMULATOR_ENDPOINT, else the usual places",
		.help = "Unix socket of the dstack guest service, which makes quotes",
		.manual =
			"Unless set, the first of these that is there:\n"
			".Pa /var/run/dstack.sock ,\n"
			".Pa /run/dstack.sock ,\n"
			".Pa /var/run/dstack/dstack.sock ,\n"
			".Pa /run/dstack/dstack.sock ,\n"
			"and the same with\n"
			".Pa tappd.sock ,\n"
			"which speaks the API from before dstack 0.4.\n"
			"It is an absolute path; an address with http:// is refused, since whoever is\n"
			"on the way there could forge what it says.\n",
	},
	{
		KEY(edges),
		.type = OPTION_NUMBER,
		.fallback = "0",
		.max = 64,
		.unit = "processes",
		.help = "processes that speak TLS; 0: one per core",
		.manual = "Without\n"
			  ".Cm tls_listen\n"
			  "one is enough: it speaks to backends that are https.\n",
	},
	{
		KEY(failure_rate),
		.type = OPTION_NUMBER,
		.fallback = "30",
		.max = 1000000,
		.unit = "failures a minute",
		.help = "wrong secrets and tokens a minute from one address; 0: no limit",
		.manual = "Beyond it a wrong one is answered with status 429 instead of 401.\n"
			  "A right one is never refused for it.\n"
			  "Of an IPv6 address its /64 counts.\n"
			  "Each tunnel counts by itself, and so does the API, with the logins.\n",
	},
	{
		KEY(fresh_rate),
		.type = OPTION_NUMBER,
		.fallback = "10",
		.max = 600,
		.unit = "quotes a minute",
		.help = "quotes made a minute for visitors who ask with fresh=1; 0: none",
		.manual =
			"A quote takes the machine up to some seconds, and there is one at a time.\n"
			"Beyond the rate, and when four others wait, the answer has status 429.\n"
			"Statements signed with a nonce alone are not limited by it.\n",
	},
	{
		KEY(gates),
		.type = OPTION_NUMBER,
		.fallback = "0",
		.max = 64,
		.unit = "processes",
		.help = "processes that accept connections; 0: one per core",
	},
	{
		KEY(handshake_timeout),
		.type = OPTION_DURATION,
		.fallback = "10s",
		.min = 1,
		.max = 5 * MINUTE,
		.help = "longest wait for a TLS handshake and the first byte behind it",
		.manual = "A connection that takes longer is cut off.\n",
	},
	{
		KEY(head_timeout),
		.type = OPTION_DURATION,
		.fallback = "10s",
		.min = 1,
		.max = 5 * MINUTE,
		.help = "longest time for the head of a request to arrive",
		.manual =
			"A request that takes longer is answered with status 408, and its connection\n"
			"closed; one of which nothing has come is closed without an answer.\n",
	},
	{
		KEY(idempotency_answers),
		.type = OPTION_NUMBER,
		.fallback = "4096",
		.max = 65536,
		.unit = "answers",
		.help = "answers kept in memory for clients that repeat a request",
		.manual =
			"A client that creates a tunnel with an\n"
			".Ql Idempotency-Key\n"
			"gets the same answer when it repeats the request within 10 minutes.\n"
			"Each answer takes about 1 KiB and holds the secret of its tunnel.\n"
			"Beyond the limit the oldest one is forgotten, and repeating that request\n"
			"is answered with status 409, as it is after the 10 minutes.\n",
	},
	{
		KEY(idle_timeout),
		.type = OPTION_DURATION,
		.fallback = "75s",
		.min = 1,
		.max = HOUR,
		.help = "longest wait for the next request on a connection",
		.manual = "Requests being answered and upgraded connections\n"
			  ".Pq WebSocket\n"
			  "are never idle in this sense.\n",
	},
	{
		KEY(interstitial),
		.type = OPTION_WORD,
		.fallback = "no",
		.words = {{"no", INTERSTITIAL_NO}, {"yes", INTERSTITIAL_YES}},
		.help = "whether people are told once that a tunnel is a tunnel",
		.manual =
			"If so, who opens a tunnel in a window of a browser gets a page first that says\n"
			"what it is, and goes on with one click; once for each browser and tunnel.\n"
			"It is for servers where strangers may make tunnels: what is behind them can\n"
			"look like anything.\n"
			"Programs, scripts and frames do not get it.\n",
	},
	{
		KEY(listen),
		.type = OPTION_ADDRESSES,
		.fallback = "127.0.0.1:8080",
		.help = "addresses for plain HTTP, as 127.0.0.1:8080 or [::1]:8080 (list)",
		.manual = "Address and port, no names; at most 16 of them.\n"
			  "Use\n"
			  ".Ql 0.0.0.0:8080\n"
			  "or\n"
			  ".Ql [::]:8080\n"
			  "to listen on every address of the machine.\n",
	},
	{
		KEY(log_format),
		.type = OPTION_WORD,
		.fallback = "text",
		.words = {{"text", LOG_FORMAT_TEXT}, {"logfmt", LOG_FORMAT_LOGFMT},
			{"json", LOG_FORMAT_JSON}},
		.help = "form of the log lines on standard error",
		.manual = "Use\n"
			  ".Ql text\n"
			  "for people,\n"
			  ".Ql logfmt\n"
			  "or\n"
			  ".Ql json\n"
			  "for programs.\n",
	},
	{
		KEY(lookup_timeout),
		.type = OPTION_DURATION,
		.fallback = "5s",
		.min = 1,
		.max = MINUTE,
		.help = "longest look-up of a backend's name, and longest wait for its turn",
	},
	{
		KEY(max_api_connections),
		.type = OPTION_NUMBER,
		.fallback = "256",
		.min = 8,
		.max = 4096,
		.unit = "connections",
		.help = "connections that the API has open at once",
		.manual =
			"All requests that no live tunnel answers are its business.\n"
			"When all places are taken, those without a valid token give way; when there\n"
			"is none, the answer has status 503.\n",
	},
	{
		KEY(max_connections_per_tunnel),
		.type = OPTION_NUMBER,
		.fallback = "1000",
		.min = 1,
		.max = 10000,
		.unit = "connections",
		.help = "visitor connections that a tunnel may have at once",
		.manual = "More are answered with status 503.\n"
			  "A tunnel can be created with a lower limit.\n",
	},
	{
		KEY(max_event_streams),
		.type = OPTION_NUMBER,
		.fallback = "64",
		.max = 1000,
		.unit = "streams",
		.help = "clients that may follow events at once; 0: none",
		.manual = "More are answered with status 503.\n"
			  "Scoped tokens leave a quarter of them to the owner,\n"
			  "and one of them has a quarter at most.\n",
	},
	{
		KEY(max_handshakes),
		.type = OPTION_NUMBER,
		.fallback = "8192",
		.min = 16,
		.max = 30000,
		.unit = "connections",
		.help = "TLS connections an edge keeps that have not sent a first byte",
		.manual = "A further one takes the place of the oldest, which is cut off.\n",
	},
	{
		KEY(max_lookups),
		.type = OPTION_NUMBER,
		.fallback = "8",
		.min = 1,
		.max = 64,
		.unit = "processes",
		.help = "names that are looked up at once",
		.manual =
			"Up to 256 more wait for their turn; creating a tunnel beyond that is answered\n"
			"with status 503.\n",
	},
	{
		KEY(max_pending),
		.type = OPTION_NUMBER,
		.fallback = "8192",
		.min = 16,
		.max = 60000,
		.unit = "connections",
		.help = "connections a gate keeps that are incomplete, or cannot be passed on",
		.manual =
			"Each of the two kinds may have so many.\n"
			"A further incomplete one takes the place of the oldest; that, or a further one\n"
			"that waits, is answered with status 503.\n",
	},
	{
		KEY(max_pending_per_tunnel),
		.type = OPTION_NUMBER,
		.fallback = "256",
		.min = 1,
		.max = 60000,
		.unit = "connections",
		.help = "connections a gate keeps that wait for the same tunnel, or for the API",
		.manual =
			"They wait while its process is too busy to take them, or is being replaced.\n"
			"More are answered with status 503.\n",
	},
	{
		KEY(max_timeout),
		.type = OPTION_DURATION,
		.fallback = "1d",
		.min = 1,
		.max = DAY,
		.help = "longest life a tunnel can be given",
	},
	{
		KEY(max_tokens),
		.type = OPTION_NUMBER,
		.fallback = "100",
		.min = 1,
		.max = 1000,
		.unit = "tokens",
		.help = "scoped tokens that may exist at once",
		.manual = "The owner makes and ends them by the API.\n"
			  "Beyond the limit making one is answered with status 429.\n",
	},
	{
		KEY(max_tunnels),
		.type = OPTION_NUMBER,
		.fallback = "1000",
		.min = 1,
		.max = 20000,
		.unit = "tunnels",
		.help = "tunnels that may exist at once",
		.manual = "Each is a process of its own.\n"
			  "Beyond the limit creating one is answered with status 429.\n",
	},
	{
		KEY(metrics_listen),
		.type = OPTION_ADDRESSES,
		.computed = "empty, there are no metrics",
		.help = "addresses for GET /metrics, not for the public (list)",
		.manual =
			"Written as\n"
			".Cm listen ,\n"
			"which must not have the same address.\n"
			"Whoever reaches one of these addresses may read the metrics, in the text\n"
			"format of Prometheus; there is nothing else and no token is asked for.\n"
			"No tunnel and no visitor is named in them.\n"
			"Use an address that only the machines that collect metrics can reach.\n",
	},
	{
		KEY(pending_timeout),
		.type = OPTION_DURATION,
		.fallback = "5s",
		.min = 1,
		.max = MINUTE,
		.help = "longest wait for a tunnel, or the API, that is busy or being replaced",
		.manual = "Visitors get status 503 after it.\n",
	},
	{
		KEY(port_pool),
		.type = OPTION_POOL,
		.computed = "empty, tunnels have no ports of their own",
		.help = "ports that tunnels get as their own, as 9000-9099",
		.manual =
			"Each tunnel gets one while there is a free one, and is found at its root: for\n"
			"browsers it is a web origin of its own then.\n"
			"The ports are those of the first address in\n"
			".Cm listen ,\n"
			"or of another one as in\n"
			".Ql 10.0.0.1:9000-9099 ;\n"
			"4096 at most.\n"
			"With\n"
			".Cm tls_listen\n"
			"they speak TLS.\n"
			"A port is given again a minute after its tunnel has ended, at the earliest.\n"
			"Browsers keep cookies for a host name, whatever the port: let each port have\n"
			"a name of its own by\n"
			".Cm port_pool_url\n"
			"where that is possible.\n",
	},
	{
		KEY(port_pool_url),
		.type = OPTION_POOL_URL,
		.computed = "the host of public_url, or the address in port_pool",
		.help = "where visitors reach a port of port_pool: a URL with {port} in it",
		.manual =
			"Set it when visitors come by other names or through a gateway, for example\n"
			".Ql https://app-{port}.gateway.example .\n"
			"It has no slash at its end.\n",
	},
	{
		KEY(proxy_protocol),
		.type = OPTION_RANGES,
		.computed = "empty, none does",
		.help = "addresses whose connections begin with a PROXY header (list)",
		.manual =
			"For listeners behind a proxy that passes connections on as they are and says\n"
			"for whom, by the PROXY protocol, version 1 or 2.\n"
			"Each entry is an address of another key, as it is written there; several\n"
			"ports in a row can be written as\n"
			".Ql 127.0.0.1:9000-9099 .\n"
			"There the header is required, and the address in it is the visitor's for\n"
			"every purpose; elsewhere it is refused.\n"
			"Whoever reaches such an address can name any visitor: only the proxy may.\n",
	},
	{
		KEY(public_url),
		.type = OPTION_URL,
		.computed = "made from the first address of tls_listen, or of listen",
		.help = "where visitors reach tunneld: http or https URL without a path",
		.manual =
			"The URLs of tunnels begin with it.\n"
			"Set it when visitors come by another name or through a proxy, for example\n"
			".Ql https://tunnels.example.org .\n"
			"It has no slash at its end.\n",
	},
	{
		KEY(relay_uid_base),
		.type = OPTION_NUMBER,
		.fallback = "50000",
		.min = 1000,
		.max = 2000000000,
		.unit = "as user id",
		.help = "first of the user ids that only tunneld uses, when started by root",
		.manual = "The first 16 are for its permanent processes; after them come\n"
			  ".Cm max_tunnels\n"
			  "and a few to spare for the relays.\n"
			  "None of them may belong to a user of the machine.\n",
	},
	{
		KEY(request_log),
		.type = OPTION_WORD,
		.fallback = "no",
		.words = {{"no", REQUEST_LOG_NO}, {"yes", REQUEST_LOG_YES},
			{"addresses", REQUEST_LOG_ADDRESSES}},
		.help = "whether each request gets a line in the log",
		.manual =
			"A line tells the beginning of the tunnel's id, method, path without query,\n"
			"status, duration, bytes of bodies, and who answered, at the end of a request or\n"
			"of an upgraded connection.\n"
			"With\n"
			".Ql addresses\n"
			"it also tells the visitor's address.\n"
			"Paths can be secrets of the service behind a tunnel: think of who reads the\n"
			"log.\n",
	},
	{
		KEY(request_log_rate),
		.type = OPTION_NUMBER,
		.fallback = "100",
		.min = 1,
		.max = 100000,
		.unit = "lines a second",
		.help = "requests a second of one tunnel that get a line in the log",
		.manual = "Others are counted, and their number is logged.\n"
			  "All tunnels together get 5000 lines a second at most.\n",
	},
	{
		KEY(request_rate),
		.type = OPTION_NUMBER,
		.fallback = "0",
		.max = 1000000,
		.unit = "requests a second",
		.help = "requests a second that one tunnel accepts; 0: no limit",
		.manual = "More are answered with status 429.\n"
			  "A tunnel can be created with a lower limit.\n",
	},
	{
		KEY(retention),
		.type = OPTION_DURATION,
		.fallback = "1d",
		.max = 30 * DAY,
		.help = "how long a tunnel that is over is remembered",
		.manual = "In that time its URL answers with status 410, afterwards with 404.\n",
	},
	{
		KEY(sandbox),
		.type = OPTION_WORD,
		.fallback = "require",
		.words = {{"require", SANDBOX_REQUIRE}, {"best-effort", SANDBOX_BEST_EFFORT}},
		.help = "whether a process without its sandbox is refused",
		.manual =
			"With\n"
			".Ql require\n"
			"no process that\n"
			".Xr tunneld 8\n"
			"has started is given work unless the kernel shows it with the user and group\n"
			"id meant for it, no other groups, no capabilities, no_new_privs, and a seccomp\n"
			"filter.\n"
			"Where processes have no user ids of their own, ids and groups are not looked\n"
			"at.\n"
			"With\n"
			".Ql best-effort\n"
			"it is given work, and what is missing is logged.\n",
	},
	{
		KEY(state_dir),
		.type = OPTION_PATH,
		.fallback = "/var/lib/tunneld",
		.help = "folder for the tunnel records and the owner token",
		.manual = "It must belong to the user that starts\n"
			  ".Xr tunneld 8 ,\n"
			  "who makes it if that is possible.\n",
	},
	{
		KEY(stop_timeout),
		.type = OPTION_DURATION,
		.fallback = "1s",
		.min = 1,
		.max = MINUTE,
		.help = "longest time for the database to be closed when tunneld stops",
	},
	{
		KEY(tls_cert),
		.type = OPTION_PATHS,
		.computed = "a certificate of its own, made at start",
		.help = "files with certificates for tls_listen (list)",
		.manual = "PEM: the certificate itself, then those that vouch for it.\n"
			  "Its key stands at the same place of tls_key.\n"
			  "The first is for visitors who ask for no name that a certificate has.\n"
			  "SIGHUP has all read again; open connections keep what they have.\n"
			  "Without this a key is made at every start, and nobody vouches for it.\n",
	},
	{
		KEY(tls_insecure),
		.type = OPTION_WORD,
		.fallback = "no",
		.words = {{"no", TLS_INSECURE_NO}, {"yes", TLS_INSECURE_YES}},
		.help = "whether tunnels may have backends with the scheme https+insecure",
		.manual =
			"Those may show any certificate: whoever is on the way to one can read and\n"
			"change all.\n"
			"What a tunnel has asked for is in its statement.\n",
	},
	{
		KEY(tls_key),
		.type = OPTION_PATHS,
		.computed = "a key of its own, made at start",
		.help = "files with the keys of tls_cert (list)",
		.manual = "PEM, without a passphrase, closed to group and others.\n",
	},
	{
		KEY(tls_life),
		.type = OPTION_DURATION,
		.fallback = "90d",
		.min = 3,
		.max = 396 * DAY,
		.help = "how long a certificate of our own is valid",
		.manual = "It is made again, over the same key and without dropping a connection,\n"
			  "when a third of that has passed.\n"
			  "Certificates in\n"
			  ".Cm tls_cert\n"
			  "are as their files say.\n",
	},
	{
		KEY(tls_listen),
		.type = OPTION_ADDRESSES,
		.computed = "empty, there is no TLS",
		.help = "addresses for HTTPS (list)",
		.manual = "Written as\n"
			  ".Cm listen .\n"
			  "TLS 1.2 and 1.3 are spoken here, and HTTP/1.1 over it.\n",
	},
	{
		KEY(tls_roots),
		.type = OPTION_PATH,
		.fallback = "/etc/ssl/certs/ca-certificates.crt",
		.help = "file with the certificate authorities that https backends may have",
		.manual = "PEM, 1 MiB at most; it is opened at start.\n",
	},
	{
		KEY(trusted_proxies),
		.type = OPTION_NETWORKS,
		.computed = "empty, nobody is believed",
		.help = "networks of proxies whose X-Forwarded-For is believed (list)",
		.manual =
			"Written as\n"
			".Cm backend_allow ,\n"
			"without ports; at most 64 of them.\n"
			"A request from one of these addresses is taken to be from the last address in\n"
			".Ql X-Forwarded-For\n"
			"that is in none of them, by the scheme that the last\n"
			".Ql X-Forwarded-Proto\n"
			"names.\n"
			"From everybody else both are ignored.\n"
			"A proxy listed here has to add to the field, or replace it.\n",
	},
	{
		KEY(wildcard_domain),
		.type = OPTION_DOMAIN,
		.computed = "empty, tunnels have no names of their own",
		.help = "domain below which each tunnel has a name of its own, as t.example.org",
		.manual =
			"A tunnel is found at the root of\n"
			".Ql ID.t.example.org\n"
			"then, on every address in\n"
			".Cm listen ,\n"
			"with the scheme and port of\n"
			".Cm public_url .\n"
			"All names below the domain have to lead there: a wildcard record, and with TLS\n"
			"a wildcard certificate.\n"
			"Nothing else may be served below it, and it is best a domain that sets no\n"
			"cookies.\n",
	},
};
