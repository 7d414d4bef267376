// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "compose_lines.h"

#include "bytes.h"
#include "hex.h"

static bool contains(struct span line, const char *text)
{
	struct span word = span_of(text);
	for (size_t i = 0; i + word.n <= line.n; i++)
		if (span_eq_nocase((struct span){line.p + i, word.n}, word))
			return true;
	return false;
}

static bool take_line(struct span *text, struct span *line)
{
	if (text->n == 0)
		return false;
	const char *end = memchr(text->p, '\n', text->n);
	bytes_take(text, end != NULL ? (size_t)(end - text->p) : text->n, line);
	bytes_take(text, text->n > 0, NULL);
	return true;
}

// ---- words: what stands between spaces, quotes, brackets and commas

static bool parts_words(char c)
{
	return c != '\0' && strchr(" \t\r\"'[]{},", c) != NULL;
}

struct words {
	struct span rest, word;
	struct span key; // the last word that has a colon behind it, without that
	bool is_key;     // that is `word`
};

static bool next_word(struct words *words)
{
	struct span before = words->word, *rest = &words->rest;
	while (rest->n > 0 && parts_words(rest->p[0]))
		bytes_take(rest, 1, NULL);
	size_t n = 0;
	while (n < rest->n && !parts_words(rest->p[n]))
		n++;
	if (n == 0)
		return false;
	bytes_take(rest, n, &words->word);
	words->is_key = words->word.p[n - 1] == ':';
	if (words->is_key) // the colon may be a word of its own: `"source" : "/x"`
		words->key = n > 1 ? (struct span){words->word.p, n - 1} : before;
	return true;
}

// ---- what is refused wherever it stands

static const char engine[] = "a container has the socket of the container engine";
static const char device[] = "a container has a device of the machine";
static const char right[] = "a container has a right that leads out of it";
static const char escape[] = "an escape could hide what is mounted";
static const char tag[] = "a tag could hide what is mounted";

static const struct {
	const char *text, *why;
} texts[] = {
	{"docker.sock", engine},
	{"/run/docker", engine},
	{"containerd", engine},
	{"podman.sock", engine},
	{"crio.sock", engine},
	{"use_api_socket", engine},
	{"tdx_guest", device},
	{"tdx-guest", device},
	{"device_cgroup_rules", device},
	{"driver_opts", "a volume has options of its own"},
	{"SYS_ADMIN", right},
	{"SYS_MODULE", right},
	{"SYS_RAWIO", right},
	{"SYS_PTRACE", right},
	{"DAC_READ_SEARCH", right},
	{"\\x", escape},
	{"\\u", escape},
	{"\\/", escape},
	{"!!", tag},
	{"!<", tag},
	{"%TAG", tag},
};

static const struct {
	const char *key, *why;
} keys[] = {
	{"pid", "a container shares processes with others"},
	{"include", "a part of the compose file is elsewhere"},
	{"provider", "a service is a program of the machine"},
};

static bool check_texts(struct span line, struct why *why)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (contains(line, texts[i].text))
			return why_not(why, "%s", texts[i].why);
	if (line.n > 0 && line.p[line.n - 1] == '\\')
		return why_not(why, "%s", escape);
	return true;
}

static bool check_keys(struct span line, struct why *why)
{
	struct words words = {.rest = line};
	while (next_word(&words)) {
		if (span_eq(words.word, SPAN("?")))
			return why_not(why, "a key stands on a line of its own");
		for (size_t i = 0; words.is_key && i < ARRAY_SIZE(keys); i++)
			if (span_eq(words.key, span_of(keys[i].key)))
				return why_not(why, "%s", keys[i].why);
		if (words.is_key && span_eq(words.key, SPAN("privileged")) &&
			(!next_word(&words) || !span_eq(words.word, SPAN("false"))))
			return why_not(why, "a container is privileged");
	}
	return true;
}

static bool is_only(struct span line, const char *word)
{
	while (line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t'))
		bytes_take(&line, 1, NULL);
	return span_eq(line, span_of(word));
}

// ALL, which a container may well be without, but not have: in a list of cap_add, on its line or
// below. *ADDING is whether such a list may be going on.
static bool check_capabilities(struct span line, bool *adding, struct why *why)
{
	struct words words = {.rest = line};
	if (is_only(line, "cap_drop:"))
		*adding = false;
	bool here = *adding;
	while (next_word(&words)) {
		if (words.is_key && span_eq(words.key, SPAN("cap_drop")))
			here = false;
		if (words.is_key && span_eq(words.key, SPAN("cap_add")))
			here = *adding = true;
		if (here && (span_eq_nocase(words.word, SPAN("ALL")) ||
				    span_eq_nocase(words.word, SPAN("CAP_ALL"))))
			return why_not(why, "%s", right);
	}
	return true;
}

// ---- mounts

static bool names_service(struct span text)
{
	return contains(text, "dstack.sock") || contains(text, "tappd.sock") ||
	       contains(text, "/run/dstack");
}

// Not a volume's name, nor something in a folder of the application's own.
static bool is_machines(struct span path)
{
	if (path.n == 0 || memmem(path.p, path.n, "..", 2) != NULL)
		return path.n > 0;
	if (path.p[0] == '.')
		return path.n < 3 || path.p[1] != '/' || path.p[2] == '.' || path.p[2] == '/';
	return strchr("/~$", path.p[0]) != NULL;
}

// The colon of a mount in the short form, `SOURCE:/TARGET`, or of a URL.
static const char *mount_colon(struct span text)
{
	return memmem(text.p, text.n, ":/", 2);
}

static bool is_source(struct span key)
{
	static const char *const names[] = {"source", "src", "device", "file"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (span_eq(key, span_of(names[i])))
			return true;
	return false;
}

static bool is_device(struct span word)
{
	static const char *const harmless[] = {
		"/dev/null", "/dev/shm", "/dev/stdin", "/dev/stdout", "/dev/stderr"};
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		if (span_eq(word, span_of(harmless[i])))
			return false;
	return span_eq(word, SPAN("/dev")) || span_starts(word, SPAN("/dev/"));
}

static bool check_mounts(struct span line, struct why *why)
{
	struct words words = {.rest = line};
	struct span first = {NULL, 0};
	size_t n = 0;
	for (; next_word(&words); n++) {
		const char *colon = mount_colon(words.word);
		struct span source = words.word;
		if (n == 0)
			first = words.word;
		if (colon != NULL)
			source.n = (size_t)(colon - source.p);
		else if (words.is_key || !is_source(words.key))
			source.n = 0;
		if (is_device(words.word))
			return why_not(why, "%s", device);
		if (is_machines(source) && !names_service(words.word))
			return why_not(why, "a container has files of the machine");
	}
	// What a key on the line before is about.
	return n != 1 || !is_machines(first) || names_service(first) ||
	       why_not(why, "a path stands on a line of its own");
}

// A mount that the environment has a say in, which nobody has measured: whatever begins with a
// variable may be one.
static bool check_variables(struct span line, struct why *why)
{
	const char *dollar = memchr(line.p, '$', line.n);
	struct words words = {.rest = line};
	bool item = true;
	if (dollar == NULL)
		return true;
	while (next_word(&words) && words.word.p + words.word.n <= dollar)
		item = span_eq(words.word, SPAN("-")) || span_eq(words.key, SPAN("volumes"));
	struct span rest = {dollar, line.n - (size_t)(dollar - line.p)};
	bool mounts = is_source(words.key) || mount_colon(rest) != NULL ||
		      (item && (is_machines(words.word) || words.word.p[0] == '.'));
	return !mounts || why_not(why, "the environment says what a container has mounted");
}

// ---- what one container has, had by another without being named again

static bool reuses(struct span line)
{
	struct words words = {.rest = line};
	while (next_word(&words))
		if (words.word.n > 1 && words.word.p[0] == '*')
			return true;
	return contains(line, "volumes_from") || contains(line, "extends") || contains(line, "<<");
}

bool compose_lines_socket_alone(struct span compose, struct why *why)
{
	struct span line = {NULL, 0};
	unsigned named = 0;
	bool reused = false, adding = false;
	while (take_line(&compose, &line)) {
		if (!check_texts(line, why) || !check_keys(line, why) ||
			!check_capabilities(line, &adding, why) || !check_mounts(line, why) ||
			!check_variables(line, why))
			return false;
		// Several containers may share a line.
		if (names_service(line) && contains(line, ","))
			return why_not(why, "a list in one line names the guest service's socket");
		named += names_service(line);
		reused |= reuses(line);
	}
	if (named > 0 && reused)
		return why_not(why, "a container may have the mounts of another");
	return named <= 1 || why_not(why, "%u lines name the guest service's socket", named);
}

// ---- images

// NAME@sha256:DIGEST
static bool is_pinned(struct span image)
{
	static const char before[] = "@sha256:";
	uint8_t digest[32];
	const char *at = memmem(image.p, image.n, before, sizeof before - 1);
	if (at == NULL || memchr(image.p, '$', image.n) != NULL)
		return false;
	struct span hex = {at + sizeof before - 1, 0};
	hex.n = image.n - (size_t)(hex.p - image.p);
	return at > image.p && hex_decode(digest, sizeof digest, hex) == 0;
}

bool compose_lines_images_pinned(struct span compose, struct why *why)
{
	struct span line = {NULL, 0};
	unsigned images = 0;
	while (take_line(&compose, &line)) {
		struct words words = {.rest = line};
		while (next_word(&words)) {
			if (words.is_key && span_eq(words.key, SPAN("build")))
				return why_not(why, "an image is built on the machine");
			if (!words.is_key || !span_eq(words.key, SPAN("image")))
				continue;
			if (!next_word(&words) || !is_pinned(words.word))
				return why_not(why, "an image is not named by its digest");
			images++;
		}
	}
	return images > 0 || why_not(why, "no image is named");
}
