/*
 * test_config_file.c
 *	  The file of --config-file: names, types, lines of errors, and what counts beside it (BOOT-1,
 *	  BOOT-2).
 *
 * test/unit/test_config_file.c
 */
#include "rusd.h"

#include <unistd.h>

#include "../../src/backend/utils/config_int.h"
#include "cmocka_all.h"
#include "config_fixture.h"

/* ---- a file ---- */

static char path[64];
static char arguments[128];

static int
make_file(void **state)
{
	int fd;

	(void) clear_environment(state);
	(void) snprintf(path, sizeof(path), "/tmp/rusd-config-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0)
		return -1;
	(void) close(fd);
	(void) snprintf(arguments, sizeof(arguments), "--config-file=%s", path);
	return 0;
}

static int
remove_file(void **state)
{
	(void) state;
	return unlink(path);
}

static void
write_bytes(const char *text, size_t length)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

/* The file says that, and the node goes on. */
static void
file_accepted(const char *text)
{
	write_bytes(text, strlen(text));
	accepted(arguments);
}

/* It says that, and is refused with the reason behind its name. */
static void
file_refused(const char *text, const char *reason)
{
	char want[512];

	write_bytes(text, strlen(text));
	(void) snprintf(want, sizeof(want), "%s: %s", path, reason);
	refused(arguments, want);
}

static void
told(const char *text)
{
	if (strstr(errors, text) == NULL)
		fail_msg("\"%s\" is not in: %s", text, errors);
}

/* ---- tests ---- */

static void
values_have_the_types_of_etcd(void **state)
{
	(void) state;
	file_accepted("# a comment\n"
				  "name: n1\n"
				  "data-dir: '/tmp/a b'\n"
				  "max-txn-ops: 0x10\n"
				  "quota-backend-bytes: -1\n"
				  "pre-vote: no\n"
				  "grpc-keepalive-interval: 5000000000\n"
				  "election-timeout: 2000\n"
				  "listen-client-urls: http://127.0.0.1:1,http://[::1]:1\n"
				  "log-outputs: [stderr, \"/dev/null\"]\n"
				  "host-whitelist: '*'\n"
				  "auto-compaction-retention: \"0\"\n"
				  "socket-options:\n"
				  "  reuse-port: true\n"
				  "checkpoint-interval: 90s\n"
				  "wal-buffers: 8MiB\n"
				  "backend-memory: 10485760\n");
	assert_string_equal(config.name, "n1");
	assert_string_equal(config.data_dir, "/tmp/a b");
	assert_int_equal(config.max_txn_ops, 16);
	assert_int_equal(config.quota_backend_bytes, -1);
	assert_false(config.pre_vote);
	assert_int_equal(config.grpc_keepalive_interval, INT64_C(5000000000));
	assert_int_equal(config.election_timeout, 2000);
	assert_string_equal(config.listen_client_urls, "http://127.0.0.1:1,http://[::1]:1");
	assert_string_equal(config.log_outputs, "stderr,/dev/null");
	assert_true(config.socket_reuse_port);
	assert_int_equal(config.checkpoint_interval, INT64_C(90000000000));
	assert_int_equal(config.wal_buffers, 8 << 20);
	assert_int_equal(config.backend_memory, 10 << 20);
	/* What it does not name has its default; etcd asks for no advertised URL beside a listened one. */
	assert_string_equal(config.advertise_client_urls, "http://localhost:2379");
	assert_string_equal(config.initial_cluster, "n1=http://localhost:2380");
	assert_true(config_is_set("name"));
	assert_false(config_is_set("wal-keep-size"));
	assert_null(strstr(errors, "unknown key"));
}

static void
all_forms_of_yaml_do(void **state)
{
	(void) state;
	file_accepted(
		"{\"name\": \"js\", \"max-txn-ops\": 7, \"socket-options\": {\"reuse-port\": true}}");
	assert_string_equal(config.name, "js");
	assert_int_equal(config.max_txn_ops, 7);
	assert_true(config.socket_reuse_port);
	/* Anchors; names in any case; the last of two; null is the default; the first document only. */
	file_accepted("Name: &x abc\ninitial-cluster-token: *x\nmax-txn-ops: 1\nMAX-TXN-OPS: 2\n"
				  "data-dir:\nwal-keep-all: ~\nsocket-options:\n---\nname: second\n");
	assert_string_equal(config.name, "abc");
	assert_string_equal(config.initial_cluster_token, "abc");
	assert_int_equal(config.max_txn_ops, 2);
	assert_string_equal(config.data_dir, "abc.etcd");
	file_accepted("");
	assert_string_equal(config.name, "default");
	file_accepted("# nothing\n");
	assert_string_equal(config.name, "default");
}

/* A mapping is a wrong value of every key that means something. */
static bool
is_passed_over(const char *key)
{
	char error[CONFIG_ERROR_SIZE];
	char text[128];
	int length = snprintf(text, sizeof(text), "%s: {a: b}\n", key);

	return config_file_parse(text, (size_t) length, error);
}

static void
every_parameter_has_its_key(void **state)
{
	static const char nested[] =
		"client-transport-security: {cert-file: a, client-cert-auth: true, allowed-hostname: [b, "
		"c]}\n"
		"peer-transport-security: {cert-file: d, allowed-cn: [e], auto-tls: true}\n"
		"discovery-config: {token: f, client: {endpoints: [g], dial-timeout: 5, secure: {cert: "
		"h}}}\n";
	/* Those that stand elsewhere, or nowhere. */
	static const char *const not_here[] = {"config-file",   "version",           "cert-file",
										   "peer-auto-tls", "socket-reuse-port", "discovery-token"};
	static const char *const here[] = {"name", "client-crl-file", "raft-read-timeout",
									   "checkpoint-interval"};
	char error[CONFIG_ERROR_SIZE];

	(void) state;
	for (size_t i = 0; i < lengthof(not_here); i++)
		assert_true(is_passed_over(not_here[i]));
	for (size_t i = 0; i < lengthof(here); i++)
		assert_false(is_passed_over(here[i]));
	params_set_defaults(&config);
	assert_true(config_file_parse(nested, sizeof(nested) - 1, error));
	assert_string_equal(config.cert_file, "a");
	assert_true(config.client_cert_auth);
	assert_string_equal(config.client_cert_allowed_hostname, "b,c");
	assert_string_equal(config.peer_cert_file, "d");
	assert_string_equal(config.peer_cert_allowed_cn, "e");
	assert_true(config.peer_auto_tls);
	assert_string_equal(config.discovery_token, "f");
	assert_string_equal(config.discovery_endpoints, "g");
	assert_int_equal(config.discovery_dial_timeout, 5);
	assert_string_equal(config.discovery_cert, "h");
}

static void
wrong_types_are_told_with_their_line(void **state)
{
	(void) state;
	file_refused(
		"a: 1\nname: 12\n",
		"line 2: \"name\" must be a string (in quotes if it looks like something else), but "
		"is a number");
	file_refused(
		"name: [a]\n",
		"line 1: \"name\" must be a string (in quotes if it looks like something else), but "
		"is a list");
	file_refused("\n\nheartbeat-interval: \"100\"\n",
				 "line 3: \"heartbeat-interval\" must be a whole number, but is a string");
	file_refused(
		"max-txn-ops: 1.5\n",
		"line 1: \"max-txn-ops\" must be a whole number, but is a fraction, or too large a "
		"number");
	file_refused("max-txn-ops: -1\n",
				 "line 1: invalid value \"-1\" of \"max-txn-ops\": parse error");
	file_refused(
		"grpc-keepalive-interval: 5s\n",
		"line 1: \"grpc-keepalive-interval\" must be a whole number of nanoseconds, but is "
		"a string");
	file_refused("pre-vote: 1\n", "line 1: \"pre-vote\" must be true or false, but is a number");
	file_refused("log-outputs: stderr\n",
				 "line 1: \"log-outputs\" must be a list of strings, but is a string");
	file_refused("log-outputs:\n- stderr\n- 5\n",
				 "line 3: \"log-outputs\" must be a list of strings, but has a number in it");
	file_refused("listen-client-urls: [http://127.0.0.1:1]\n",
				 "line 1: \"listen-client-urls\" must be one string, with commas, but is a list");
	file_refused("listen-client-urls: http://127.0.0.1:1,bad\n",
				 "line 1: invalid value \"http://127.0.0.1:1,bad\" of \"listen-client-urls\": URL "
				 "scheme must be http, https, unix, or unixs: bad");
	file_refused("name: a\nclient-transport-security: 5\n",
				 "line 2: \"client-transport-security\" must be a mapping, but is a number");
	file_refused(
		"client-transport-security:\n  cert-file: a\n  allowed-cn: [x]\n",
		"line 3: \"client-transport-security.allowed-cn\" is not supported by this version "
		"of rusd yet");
	file_refused("checkpoint-interval: soon\n",
				 "line 1: invalid value \"soon\" of \"checkpoint-interval\": parse error");
	file_refused("? [a]\n: b\n", "line 1: a key must be a string");
	file_refused("- a\n- b\n",
				 "line 1: the file must be a mapping of names to values, but is a list");
}

static void
what_is_no_yaml_is_refused(void **state)
{
	(void) state;
	file_refused("name: a\n  bad: : yaml\n",
				 "line 2: mapping values are not allowed in this context");
	file_refused("name: \"a\n",
				 "line 2: found unexpected end of stream while scanning a quoted scalar");
	file_refused("name: *x\n", "line 1: found undefined alias");
	file_refused("name: a\tb: [\n", "line 1: mapping values are not allowed in this context");
	write_bytes("name: \xff\xfe\n", 9);
	assert_int_equal(parse(arguments), 1);
	write_bytes("name: \"a\\0b\"\n", 13);
	assert_int_equal(parse(arguments), 1);
	told("is too long, or has a NUL in it");
}

static void
files_that_cannot_be_read_are_refused(void **state)
{
	char want[128];
	static char large[1024 * 1024 + 2];

	(void) state;
	refused("--config-file=/nonexistent/file",
			"could not open /nonexistent/file: No such file or directory");
	refused("--config-file=/tmp", "/tmp: could not be read: Is a directory");
	memset(large, '#', sizeof(large) - 1);
	(void) snprintf(want, sizeof(want), "%s: is larger than 1048576 bytes", path);
	write_bytes(large, sizeof(large) - 1);
	refused(arguments, want);
}

/* BOOT-1: flags and variables do not count beside it, but flags must be right. */
static void
the_file_takes_the_place_of_all_others(void **state)
{
	char more[512];

	(void) state;
	write_bytes("name: file\n", 11);
	(void) snprintf(more, sizeof(more), "--name=flag --max-txn-ops=5 %s", arguments);
	assert_int_equal(setenv("ETCD_NAME", "variable", 1), 0);
	assert_int_equal(setenv("RUSD_MAX_TXN_OPS", "9", 1), 0);
	assert_int_equal(setenv("ETCD_UNHEARD_OF", "9", 1), 0);
	accepted(more);
	assert_string_equal(config.name, "file");
	assert_int_equal(config.max_txn_ops, 128);
	told("loaded server configuration, other configuration command line flags and environment "
		 "variables will be ignored if provided");
	assert_null(strstr(errors, "ETCD_"));
	(void) snprintf(more, sizeof(more), "--foo %s", arguments);
	usage_error(more, "flag provided but not defined: -foo");
	/* Named by a variable. */
	assert_int_equal(unsetenv("ETCD_NAME"), 0);
	assert_int_equal(setenv("ETCD_CONFIG_FILE", path, 1), 0);
	accepted("--name=flag");
	assert_string_equal(config.name, "file");
	assert_string_equal(config.config_file, path);
	assert_int_equal(setenv("RUSD_CONFIG_FILE", "/nonexistent/file", 1), 0);
	refused("", "could not open /nonexistent/file: No such file or directory");
}

/* What is checked of flags is checked of a file too. */
static void
combinations_are_checked(void **state)
{
	(void) state;
	write_bytes("heartbeat-interval: 300\n", 24);
	refused(arguments, "--election-timeout[1000ms] should be at least as 5 times as "
					   "--heartbeat-interval[300ms]");
	write_bytes("auto-compaction-mode: never\n", 28);
	refused(arguments, "unknown auto-compaction-mode \"never\"");
	write_bytes("wal-dir: /x\n", 12);
	assert_int_equal(parse(arguments), 1);
	told("--wal-dir is not supported by this version of rusd yet");
}

static void
unknown_keys_are_told_of_with_their_line(void **state)
{
	(void) state;
	file_accepted("name: a\nnonsense: [1, {b: c}]\ncert-file: x\nsocket-options:\n  other: 1\n"
				  "version: true\nexperimental-memory-mlock: true\n");
	assert_string_equal(config.name, "a");
	assert_string_equal(config.cert_file, "");
	told("unknown key in the configuration file - ignoring");
	told("\"key\":\"nonsense\",\"line\":2");
	told("\"key\":\"cert-file\",\"line\":3,\"belongs-to\":\"client-transport-security.cert-file\"");
	told("\"key\":\"socket-options.other\",\"line\":5");
	told("\"key\":\"version\",\"line\":6");
	told("\"key\":\"experimental-memory-mlock\",\"line\":7");
	/* Those of a file that was read before are forgotten. */
	file_accepted("name: a\n");
	assert_null(strstr(errors, "unknown key"));
}

#define file_test(function) cmocka_unit_test_setup_teardown(function, make_file, remove_file)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		file_test(values_have_the_types_of_etcd),
		file_test(all_forms_of_yaml_do),
		file_test(every_parameter_has_its_key),
		file_test(wrong_types_are_told_with_their_line),
		file_test(what_is_no_yaml_is_refused),
		file_test(files_that_cannot_be_read_are_refused),
		file_test(the_file_takes_the_place_of_all_others),
		file_test(combinations_are_checked),
		file_test(unknown_keys_are_told_of_with_their_line),
	};

	return cmocka_run_group_tests_name("config file", tests, NULL, NULL);
}
