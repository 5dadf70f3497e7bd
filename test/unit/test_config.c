/*
 * test_config.c
 *	  Flags, variables, the file of --config-reload: what is taken, what is refused and how it is
 * said.
 *
 * test/unit/test_config.c
 */
#include "rusd.h"

#include <jansson.h>
#include <unistd.h>

#include "../../src/backend/utils/config_int.h"
#include "cmocka_all.h"
#include "config_fixture.h"
#include "utils/log.h"

/* ---- values ---- */

static void
defaults_are_those_of_etcd(void **state)
{
	(void) state;
	accepted("");
	assert_string_equal(errors, "");
	assert_string_equal(config.name, "default");
	assert_string_equal(config.data_dir, "default.etcd");
	assert_string_equal(config.listen_client_urls, "http://localhost:2379");
	assert_string_equal(config.advertise_client_urls, "http://localhost:2379");
	assert_string_equal(config.listen_peer_urls, "http://localhost:2380");
	assert_string_equal(config.initial_cluster, "default=http://localhost:2380");
	assert_string_equal(config.initial_cluster_token, "etcd-cluster");
	assert_int_equal(config.heartbeat_interval, 100);
	assert_int_equal(config.election_timeout, 1000);
	assert_int_equal(config.max_txn_ops, 128);
	assert_int_equal(config.max_request_bytes, 1572864);
	assert_int_equal(config.max_concurrent_streams, 4294967295);
	assert_int_equal(config.grpc_keepalive_interval, INT64_C(7200000000000));
	assert_int_equal(config.warning_unary_request_duration, 300000000);
	assert_int_equal(config.checkpoint_interval, INT64_C(60000000000));
	assert_int_equal(config.wal_buffers, 16 << 20);
	assert_int_equal(config.backend_memory, 256 << 20);
	assert_int_equal(config.max_connections, 1024);
	assert_int_equal(config.quota_backend_bytes, 0);
	assert_true(config.pre_vote);
	assert_false(config.wal_keep_all);
	assert_false(config_is_set("name"));
}

static void
flags_are_written_as_in_go(void **state)
{
	(void) state;
	accepted(
		"-name a --data-dir b -max-txn-ops=3 --quota-backend-bytes=-1 -pre-vote=F --wal-keep-all");
	assert_string_equal(config.name, "a");
	assert_string_equal(config.data_dir, "b");
	assert_int_equal(config.max_txn_ops, 3);
	assert_int_equal(config.quota_backend_bytes, -1);
	assert_false(config.pre_vote);
	assert_true(config.wal_keep_all);
	assert_true(config_is_set("name"));
	assert_false(config_is_set("max-request-bytes"));
	/* The last one counts; a value may begin with a dash, hold '=', or be empty. */
	accepted("--name a --name=b");
	assert_string_equal(config.name, "b");
	accepted("--initial-cluster-token -x=y --data-dir {}");
	assert_string_equal(config.initial_cluster_token, "-x=y");
	assert_string_equal(config.data_dir, "default.etcd");
	accepted("--name= --");
	assert_string_equal(config.name, "");
	/* Numbers as Go reads them with base 0. */
	accepted("--max-txn-ops=0x10 --max-request-bytes=1_000_000 --heartbeat-interval=0b11 "
			 "--election-timeout=0o1750 --quota-backend-bytes=+010");
	assert_int_equal(config.max_txn_ops, 16);
	assert_int_equal(config.max_request_bytes, 1000000);
	assert_int_equal(config.heartbeat_interval, 3);
	assert_int_equal(config.election_timeout, 1000);
	assert_int_equal(config.quota_backend_bytes, 8);
	accepted("--checkpoint-interval 1m30.5s --wal-buffers=8MiB --backend-memory=1GiB");
	assert_int_equal(config.checkpoint_interval, INT64_C(90500000000));
	assert_int_equal(config.wal_buffers, 8 << 20);
	assert_int_equal(config.backend_memory, 1 << 30);
}

static void
bad_flags_are_usage_errors(void **state)
{
	(void) state;
	usage_error("--foo", "flag provided but not defined: -foo");
	usage_error("-foo=1 --name", "flag provided but not defined: -foo");
	usage_error("--experimental-initial-corrupt-check=true",
				"flag provided but not defined: -experimental-initial-corrupt-check");
	usage_error("--name", "flag needs an argument: -name");
	usage_error("---name=x", "bad flag syntax: ---name=x");
	usage_error("--=x", "bad flag syntax: --=x");
	usage_error("--max-txn-ops=x", "invalid value \"x\" for flag -max-txn-ops: parse error");
	usage_error("--max-txn-ops {}", "invalid value \"\" for flag -max-txn-ops: parse error");
	usage_error("--max-txn-ops=-1", "invalid value \"-1\" for flag -max-txn-ops: parse error");
	usage_error("--max-txn-ops=08", "invalid value \"08\" for flag -max-txn-ops: parse error");
	usage_error("--max-txn-ops=1__0", "invalid value \"1__0\" for flag -max-txn-ops: parse error");
	usage_error("--max-txn-ops=18446744073709551616",
				"invalid value \"18446744073709551616\" for flag -max-txn-ops: value out of range");
	usage_error(
		"--max-concurrent-streams=4294967296",
		"invalid value \"4294967296\" for flag -max-concurrent-streams: value out of range");
	usage_error(
		"--quota-backend-bytes=9223372036854775808",
		"invalid value \"9223372036854775808\" for flag -quota-backend-bytes: value out of range");
	usage_error("--grpc-keepalive-timeout=5",
				"invalid value \"5\" for flag -grpc-keepalive-timeout: parse error");
	usage_error(
		"--wal-buffers=5MB",
		"invalid value \"5MB\" for flag -wal-buffers: not a size in bytes, KiB, MiB, GiB or TiB");
	usage_error("--pre-vote=yes", "invalid boolean value \"yes\" for -pre-vote: parse error");
	usage_error("--snapshot=5", "invalid boolean value \"5\" for -snapshot: parse error");
	usage_error("--initial-cluster-state=old",
				"invalid value \"old\" for flag -initial-cluster-state: invalid value \"old\"");
	usage_error(
		"--listen-client-urls=ftp://127.0.0.1:1",
		"invalid value \"ftp://127.0.0.1:1\" for flag -listen-client-urls: URL scheme must be "
		"http, https, unix, or unixs: ftp://127.0.0.1:1");
	usage_error(
		"--listen-peer-urls=http://127.0.0.1",
		"invalid value \"http://127.0.0.1\" for flag -listen-peer-urls: URL address does not "
		"have the form \"host:port\": http://127.0.0.1");
	usage_error("--listen-peer-urls=http://127.0.0.1:1/x",
				"invalid value \"http://127.0.0.1:1/x\" for flag -listen-peer-urls: URL must not "
				"contain a path: http://127.0.0.1:1/x");
	usage_error(
		"--feature-gates=Nonsense=true",
		"invalid value \"Nonsense=true\" for flag -feature-gates: unrecognized feature gate: "
		"Nonsense");
	usage_error("--feature-gates=LeaseCheckpoint",
				"invalid value \"LeaseCheckpoint\" for flag -feature-gates: missing bool value for "
				"feature gate: LeaseCheckpoint");
}

static void
stray_arguments_are_refused(void **state)
{
	(void) state;
	refused("--pre-vote true", "\"true\" is not a valid flag");
	refused("gateway start", "\"gateway\" is not a valid flag");
	refused("--name a -- --name b", "\"--name\" is not a valid flag");
	refused("- --foo", "\"-\" is not a valid flag");
	refused("--version x", "\"x\" is not a valid flag");
}

static void
help_and_version_go_to_standard_output(void **state)
{
	(void) state;
	assert_int_equal(parse("--name a --help"), 0);
	assert_string_equal(errors, "");
	for (int i = 0; i < param_count; i++)
	{
		char line[100];

		(void) snprintf(line, sizeof(line), "\n  --%s '", params[i].flag);
		if (strstr(output, line) == NULL)
			fail_msg("--help does not tell of --%s", params[i].flag);
	}
	assert_non_null(strstr(output, "--wal-dir ''\n    A directory of its own for the log.\n"
								   "    [not honoured yet"));
	assert_int_equal(parse("-h"), 0);
	assert_int_equal(parse("--version"), 0);
	assert_int_equal(strncmp(output, "etcd Version: 3.7.1\nrusd Version: ", 34), 0);
	assert_non_null(strstr(output, "\nGit SHA: "));
	assert_string_equal(errors, "");
}

/* ---- what is refused, BOOT-10 to BOOT-15 ---- */

static void
combinations_are_refused_with_the_texts_of_etcd(void **state)
{
	(void) state;
	refused("--heartbeat-interval=0", "--heartbeat-interval must be >0 (set to 0ms)");
	refused("--election-timeout=0", "--election-timeout must be >0 (set to 0ms)");
	refused("--heartbeat-interval=300",
			"--election-timeout[1000ms] should be at least as 5 times as "
			"--heartbeat-interval[300ms]");
	refused("--election-timeout=60000",
			"--election-timeout[60000ms] is too long, and should be set "
			"less than 50000ms");
	accepted("--heartbeat-interval=10000 --election-timeout=50000");
	accepted("--leader-stall-timeout=1s");
	refused("--leader-stall-timeout=999ms",
			"--leader-stall-timeout must be 0 or at least --election-timeout");
	refused("--listen-client-urls=http://host.name:1 --advertise-client-urls=http://host.name:1",
			"expected IP in URL for binding (http://host.name:1)");
	refused("--listen-peer-urls=http://host:1", "expected IP in URL for binding (http://host:1)");
	refused("--listen-peer-urls=http://:1", "expected IP in URL for binding (http://:1)");
	accepted("--listen-peer-urls=http://[::1]:1,http://localhost:2,http://10.0.0.1:3");
	refused(
		"--initial-advertise-peer-urls=http://:1",
		"--initial-advertise-peer-urls \"http://:1\" must be \"host:port\" (unexpected empty host "
		"(http://:1))");
	accepted("--advertise-client-urls=http://host.name:1");
	refused("--listen-client-urls=http://127.0.0.1:1",
			"--advertise-client-urls is required when --listen-client-urls is set explicitly");
	refused("--initial-cluster=default=http://localhost:2380 --discovery-srv=example.com",
			"multiple discovery or bootstrap flags are set. Choose one of \"initial-cluster\", "
			"\"discovery-endpoints\" or \"discovery-srv\"");
	refused("--auto-compaction-mode=never", "unknown auto-compaction-mode \"never\"");
	refused("--log-level=loud", "unknown log-level \"loud\"");
	refused("--log-format=xml", "unknown log-format \"xml\"");
	refused("--logger=capnslog", "unknown logger \"capnslog\"");
	refused("--compact-hash-check-time=0s", "--compact-hash-check-time must be >0 (set to 0s)");
	refused("--tls-min-version=TLS1.3 --tls-max-version=TLS1.2",
			"min version (TLS1.3) is greater than max version (TLS1.2)");
	refused("--tls-min-version=TLS1.3 --cipher-suites=x",
			"cipher suites cannot be configured when only TLS1.3 is enabled");
	refused("--listen-client-urls= --advertise-client-urls=http://localhost:1",
			"--listen-client-urls: no valid URLs given");
}

static void
values_have_bounds(void **state)
{
	(void) state;
	refused("--max-connections=0", "--max-connections must be between 1 and 65536 (set to 0)");
	refused("--checkpoint-interval=1ms",
			"--checkpoint-interval must be between 100ms and 24h0m0s (set to 1ms)");
	refused("--page-cache-size=8191KiB",
			"--page-cache-size must be 0 or at least 8MiB (set to 8191KiB)");
	refused("--wal-buffers=1000", "--wal-buffers must be between 1MiB and 16GiB (set to 1000)");
	refused("--max-request-bytes=18446744073709551615",
			"--max-request-bytes must be between 0 and 1073741824 (set to 9223372036854775807)");
	refused("--name=a,b", "--name must not contain ',' or '=' (set to \"a,b\")");
	refused(
		"--log-outputs=systemd/journal",
		"--log-outputs: systemd/journal is not supported by this version of rusd yet; stderr of a "
		"unit goes to the journal");
	refused("--log-outputs=stderr,", "--log-outputs: an output has no name, or too long a one");
}

static void
what_is_not_built_stops_the_start(void **state)
{
	int checked = 0;

	(void) state;
	refused("--discovery-token=x",
			"--discovery-token is not supported by this version of rusd yet: it must keep "
			"its default, \"\"");
	accepted("--listen-client-urls=unix:///tmp/x,unix://relative "
			 "--advertise-client-urls=unix:///tmp/x");
	refused("--listen-peer-urls=unix:///tmp/x",
			"--listen-peer-urls: members do not speak over unix sockets (unix:///tmp/x)");
	refused("--feature-gates=LeaseCheckpoint=true",
			"--feature-gates: LeaseCheckpoint=true is not supported by this version of rusd yet");
	/* Each of them, with its default and with something else. */
	for (int i = 0; i < param_count; i++)
	{
		static const char *const others[] = {
			"gone", "proxy", "revision", "extensive", "TLS1.3", "http://127.0.0.1:7",
			"true", "false", "77s",      "77"};
		char arguments[600];
		char text[128];
		bool stopped = false;

		if (params[i].status != PARAM_NOT_YET)
			continue;
		checked++;
		/* The default of the log rotation has blanks in it. */
		(void) snprintf(arguments, sizeof(arguments), "--%s=%s", params[i].flag,
						param_default(&params[i], text, sizeof(text)));
		if (strchr(arguments, ' ') == NULL)
			accepted(arguments);
		for (size_t k = 0; k < lengthof(others) && !stopped; k++)
		{
			(void) snprintf(arguments, sizeof(arguments), "--%s=%s", params[i].flag, others[k]);
			stopped =
				parse(arguments) == 1 && strstr(errors, "not supported by this version") != NULL;
		}
		if (!stopped)
			fail_msg("--%s is silently accepted", params[i].flag);
	}
	assert_in_range(checked, 20, 100);
}

#define HTTPS                                                                                      \
	"--listen-client-urls=https://127.0.0.1:1 --advertise-client-urls=https://127.0.0.1:1 "

/* BOOT-14, BOOT-15 */
static void
tls_needs_what_it_needs(void **state)
{
	(void) state;
	refused(HTTPS, "TLS key/cert (--cert-file, --key-file) must be provided for client url "
				   "https://127.0.0.1:1 with HTTPS scheme");
	refused(HTTPS "--cert-file=c", "KeyFile and CertFile must both be present[key: , cert: c]");
	refused(HTTPS "--key-file=k", "KeyFile and CertFile must both be present[key: k, cert: ]");
	accepted(HTTPS "--key-file=k --cert-file=c");
	assert_string_equal(errors, "");
	accepted(HTTPS "--auto-tls");
	accepted(HTTPS "--auto-tls --key-file=k --cert-file=c");
	assert_non_null(strstr(errors, "ignoring automatic TLS since certs given"));
	refused("--listen-peer-urls=https://127.0.0.1:1",
			"TLS key/cert (--peer-cert-file, --peer-key-file) must be provided for peer url "
			"https://127.0.0.1:1 with HTTPS scheme");
	accepted("--listen-peer-urls=https://127.0.0.1:1 --peer-auto-tls");

	/* Of plain URLs they are ignored, one warning each. */
	accepted("--cert-file=c --client-cert-auth");
	assert_non_null(strstr(errors, "scheme is HTTP while key and cert files are present; ignoring "
								   "key and cert files\",\"url\":\"http://localhost:2379\""));
	assert_non_null(strstr(errors, "\"flag\":\"client-cert-auth\""));
	accepted("--peer-cert-file=c --peer-client-cert-auth");
	assert_non_null(strstr(errors, "\"url\":\"http://localhost:2380\""));
	assert_non_null(strstr(errors, "\"flag\":\"peer-client-cert-auth\""));

	refused("--peer-cert-allowed-cn=a --peer-cert-allowed-hostname=b",
			"AllowedCN and AllowedHostname are mutually exclusive (cn=\"a\", hostname=\"b\")");
	refused("--peer-client-cert-file=a", "ClientKeyFile and ClientCertFile must both be present or "
										 "both absent: [key: , cert: a]");
	refused(HTTPS
			"--key-file=k --cert-file=c --cipher-suites=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
			"http2: TLSConfig.CipherSuites is missing an HTTP/2-required AES_128_GCM_SHA256 cipher "
			"(need at least one of TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 or "
			"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)");
	accepted(HTTPS "--key-file=k --cert-file=c "
				   "--cipher-suites=TLS_X,TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
	accepted("--cipher-suites=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384");
}

static void
what_means_nothing_here_is_accepted_with_a_warning(void **state)
{
	(void) state;
	accepted("--snapshot-count=10000 --backend-batch-interval=0s");
	assert_string_equal(errors, "");
	accepted(
		"--snapshot-count=5 --enable-pprof --backend-bbolt-freelist-type=array --bcrypt-cost=4");
	assert_non_null(strstr(errors, "\"flag\":\"snapshot-count\",\"instead\":\"a checkpoint takes"));
	assert_non_null(strstr(errors, "\"flag\":\"enable-pprof\""));
	assert_non_null(strstr(errors, "\"flag\":\"backend-bbolt-freelist-type\""));
	assert_non_null(strstr(errors, "\"flag\":\"bcrypt-cost\""));
	accepted("--snapshot --vv=true --test.coverprofile=0");
	assert_non_null(strstr(errors, "\"flag\":\"snapshot\""));
	assert_non_null(strstr(errors, "\"flag\":\"test.coverprofile\""));
	accepted("--feature-gates=InitialCorruptCheck=true,TxnModeWriteWithSharedBuffer=true");
	assert_non_null(strstr(errors, "\"gate\":\"InitialCorruptCheck\""));
	assert_null(strstr(errors, "TxnModeWriteWithSharedBuffer"));
	accepted("--max-request-bytes=11534336");
	assert_non_null(strstr(errors, "exceeded recommended request limit"));
}

/* ---- variables ---- */

static void
variables_stand_in_for_flags(void **state)
{
	(void) state;
	(void) setenv("ETCD_NAME", "fromenv", 1);
	(void) setenv("ETCD_MAX_TXN_OPS", "7", 1);
	(void) setenv("ETCD_DATA_DIR", "", 1);
	(void) setenv("RUSD_MAX_CONNECTIONS", "9", 1);
	accepted("");
	assert_string_equal(config.name, "fromenv");
	assert_string_equal(config.data_dir, "fromenv.etcd");
	assert_string_equal(config.initial_cluster, "fromenv=http://localhost:2380");
	assert_int_equal(config.max_txn_ops, 7);
	assert_int_equal(config.max_connections, 9);
	assert_true(config_is_set("name"));
	assert_false(config_is_set("data-dir"));
	assert_non_null(strstr(errors,
						   "\"msg\":\"recognized and used environment variable\","
						   "\"variable-name\":\"ETCD_NAME\",\"variable-value\":\"fromenv\""));
	/* RUSD_ wins, and says so. */
	(void) setenv("RUSD_NAME", "ours", 1);
	accepted("");
	assert_string_equal(config.name, "ours");
	assert_non_null(strstr(errors, "shadowed by the RUSD_ variable"));
	/* An empty variable is none, so a flag beside it is no conflict. */
	accepted("--data-dir=x");
	assert_string_equal(config.data_dir, "x");
}

static void
flag_and_variable_together_are_refused(void **state)
{
	(void) state;
	(void) setenv("ETCD_NAME", "a", 1);
	assert_int_equal(parse("--name=a"), 1);
	assert_non_null(strstr(errors,
						   "\"msg\":\"conflicting environment variable is shadowed by "
						   "corresponding command-line flag (either unset environment variable "
						   "or disable flag))\",\"environment-variable\":\"ETCD_NAME\""));
	(void) unsetenv("ETCD_NAME");
	(void) setenv("RUSD_NAME", "a", 1);
	assert_int_equal(parse("--name=a"), 1);
	assert_non_null(strstr(errors, "\"environment-variable\":\"RUSD_NAME\""));
}

static void
bad_variables_are_refused(void **state)
{
	(void) state;
	(void) setenv("ETCD_MAX_TXN_OPS", "many", 1);
	refused("", "invalid value \"many\" for ETCD_MAX_TXN_OPS: parse error");
	(void) setenv("ETCD_MAX_TXN_OPS", "3", 1);
	(void) setenv("ETCD_DISCOVERY_TOKEN", "x", 1);
	refused(
		"",
		"--discovery-token is not supported by this version of rusd yet: it must keep its default, "
		"\"\"");
}

static void
unknown_variables_are_told_of(void **state)
{
	(void) state;
	(void) setenv("ETCD_NONSENSE", "1", 1);
	(void) setenv("ETCD_VERSION", "v3.7.1", 1);
	(void) setenv("ETCD_UNSUPPORTED_ARCH", "arm", 1);
	(void) setenv("ETCD_MAX_CONNECTIONS", "3", 1);
	(void) setenv("RUSD_NONSENSE", "1", 1);
	(void) setenv("ETCDCTL_API", "3", 1);
	accepted("");
	assert_non_null(strstr(errors, "\"environment-variable\":\"ETCD_NONSENSE=1\""));
	assert_non_null(strstr(errors, "\"environment-variable\":\"ETCD_VERSION=v3.7.1\""));
	assert_non_null(strstr(errors, "\"environment-variable\":\"ETCD_MAX_CONNECTIONS=3\""));
	assert_non_null(strstr(errors, "\"environment-variable\":\"RUSD_NONSENSE=1\""));
	assert_null(strstr(errors, "ETCD_UNSUPPORTED_ARCH"));
	assert_null(strstr(errors, "ETCDCTL_API"));
	assert_int_equal(config.max_connections, 1024);
}

/* ---- derived values, URL lists, the initial cluster ---- */

static void
addresses_replace_wildcards(void **state)
{
	(void) state;
	accepted("--name=a --listen-peer-urls=http://0.0.0.0:7001");
	/* Without a route there is no address to tell; then the default stays. */
	if (strcmp(config.initial_advertise_peer_urls, "http://localhost:2380") != 0)
	{
		ConfigUrl url;

		assert_int_equal(config_urls(config.initial_advertise_peer_urls, &url, 1), 1);
		assert_string_equal(url.port, "7001");
		assert_string_not_equal(url.host, "0.0.0.0");
		assert_string_not_equal(url.host, "localhost");
	}
	accepted("--listen-peer-urls=http://0.0.0.0:7001 --initial-advertise-peer-urls=http://a.b:1");
	assert_string_equal(config.initial_advertise_peer_urls, "http://a.b:1");
	accepted("--name=n --initial-advertise-peer-urls=http://a.b:1,http://c.d:2");
	assert_string_equal(config.initial_cluster, "n=http://a.b:1,n=http://c.d:2");
}

static void
url_lists_are_taken_apart(void **state)
{
	ConfigUrl urls[3];

	(void) state;
	assert_int_equal(
		config_urls("http://a:1, HTTPS://[::1]:65535 ,http://a:1,unix:///x:0", urls, 3), 3);
	assert_string_equal(urls[0].text, "http://a:1");
	assert_string_equal(urls[0].host, "a");
	assert_string_equal(urls[0].port, "1");
	assert_string_equal(urls[1].text, "https://[::1]:65535");
	assert_string_equal(urls[1].scheme, "https");
	assert_string_equal(urls[1].host, "::1");
	assert_string_equal(urls[2].scheme, "unix");
	assert_string_equal(urls[2].host, "/x:0");
	assert_int_equal(config_urls("", urls, 3), 0);
	assert_int_equal(config_urls("http://a:1,http://b:1,http://c:1,http://d:1", urls, 3), -1);
	assert_int_equal(config_urls("http://a:1,", urls, 3), -1);
	assert_int_equal(config_urls("http://a:65536", urls, 3), -1);
	assert_int_equal(config_urls("http://a:", urls, 3), -1);
	assert_int_equal(config_urls("http://a:x", urls, 3), -1);
	assert_int_equal(config_urls("http://::1:2", urls, 3), -1);
	assert_int_equal(config_urls("http://u@a:2", urls, 3), -1);
	assert_int_equal(config_urls("http://a:1?x", urls, 3), -1);
	assert_int_equal(config_urls("a:1", urls, 3), -1);
}

static void
bootstrap_error(const char *arguments, const char *want)
{
	static InitialCluster cluster;
	FILE *err = tmpfile();
	int saved;
	Status status;

	accepted(arguments);
	assert_non_null(err);
	saved = catch_fd(STDERR_FILENO, err);
	status = config_initial_cluster(&cluster);
	release_fd(STDERR_FILENO, saved, err, errors, sizeof(errors));
	if (want == NULL && status != RUSD_OK)
		fail_msg("%s: %s", arguments, errors);
	if (want != NULL && (status != RUSD_INVALID || strstr(errors, want) == NULL))
		fail_msg("%s: %s is not \"%s\"", arguments, errors, want);
}

static void
initial_cluster_must_fit(void **state)
{
	(void) state;
	bootstrap_error("", NULL);
	bootstrap_error("--name=a --initial-cluster=a=http://localhost:2380", NULL);
	bootstrap_error("--name=a --initial-cluster=a=http://127.0.0.1:7 "
					"--initial-advertise-peer-urls=http://127.0.0.1:7",
					NULL);
	/* Names are resolved before two URLs are said to differ. */
	bootstrap_error("--name=a --initial-cluster=a=http://127.0.0.1:7 "
					"--initial-advertise-peer-urls=http://localhost:7",
					NULL);
	bootstrap_error("--name=a --initial-cluster=b=http://localhost:2380",
					"couldn't find local name \\\"a\\\" in the initial cluster configuration");
	bootstrap_error("--name=a --initial-cluster=a=http://127.0.0.1:7",
					"--initial-cluster has a=http://127.0.0.1:7 but missing from "
					"--initial-advertise-peer-urls=http://localhost:2380");
	bootstrap_error("--name=a --initial-cluster=a=http://127.0.0.1:7 "
					"--initial-advertise-peer-urls=http://127.0.0.1:7,http://127.0.0.1:8",
					"--initial-advertise-peer-urls has http://127.0.0.1:8 but missing from "
					"--initial-cluster=a=http://127.0.0.1:7");
	bootstrap_error("--name=a --initial-cluster=a=http://localhost:2380,a=http://localhost:2380",
					"has duplicate url");
	bootstrap_error("--name=a --initial-cluster=a=http://localhost:2380,b=http://localhost:2380",
					"has duplicate url");
	bootstrap_error("--name=a --initial-cluster=a=http://localhost:2380,b=http://localhost:3",
					NULL);
	bootstrap_error("--initial-cluster=default", "empty URL given for");
	bootstrap_error("--initial-cluster=default=nonsense", "URL scheme must be");
}

/* A name may stand there more than once, with one URL each time. */
static void
initial_cluster_is_taken_apart(void **state)
{
	static InitialCluster cluster;

	(void) state;
	accepted("--name=b --initial-advertise-peer-urls=http://127.0.0.1:2,http://127.0.0.1:4 "
			 "--initial-cluster=c=http://127.0.0.1:1,b=http://127.0.0.1:2,a=http://127.0.0.1:3,"
			 "b=http://127.0.0.1:4");
	assert_int_equal(config_initial_cluster(&cluster), RUSD_OK);
	assert_int_equal(cluster.count, 3);
	assert_ptr_equal(cluster.own, &cluster.members[1]);
	assert_int_equal(cluster.own->url_count, 2);
	assert_string_equal(cluster.own->urls[1].text, "http://127.0.0.1:4");
	assert_int_equal(cluster.members[2].name_length, 1);
	assert_memory_equal(cluster.members[2].name, "a", 1);
	assert_string_equal(cluster.members[0].urls[0].text, "http://127.0.0.1:1");
}

/* ---- SIGHUP ---- */

static char reload_path[64];

static void
write_reload_file(const char *text)
{
	FILE *file = fopen(reload_path, "we");

	assert_non_null(file);
	(void) fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static Status
reload(void)
{
	FILE *err = tmpfile();
	int saved = catch_fd(STDERR_FILENO, err);
	Status status = config_reload();

	release_fd(STDERR_FILENO, saved, err, errors, sizeof(errors));
	return status;
}

static void
file_is_read_again(void **state)
{
	char arguments[200];

	(void) state;
	(void) snprintf(reload_path, sizeof(reload_path), "/tmp/test_config.XXXXXX");
	(void) close(mkstemp(reload_path));
	write_reload_file("# a comment\n\n  log-level=warn\nwarning-apply-duration=1s\n");
	(void) snprintf(arguments, sizeof(arguments), "--config-reload=%s", reload_path);
	accepted(arguments);
	assert_string_equal(config.log_level, "warn");
	assert_int_equal(config.warning_apply_duration, 1000000000);

	write_reload_file("log-level=error\n");
	assert_int_equal(reload(), RUSD_OK);
	assert_string_equal(config.log_level, "error");
	assert_false(log_enabled(LOG_WARN));
	assert_true(log_enabled(LOG_ERROR));

	/* Nothing is applied if anything is wrong. */
	(void) log_set_level("info");
	write_reload_file("log-level=info\nname=b\n");
	assert_int_equal(reload(), RUSD_INVALID);
	assert_non_null(strstr(errors, "name cannot be changed while the node runs"));
	write_reload_file("log-level=loud\n");
	assert_int_equal(reload(), RUSD_INVALID);
	assert_non_null(strstr(errors, "unknown log-level"));
	write_reload_file("log-level\n");
	assert_int_equal(reload(), RUSD_INVALID);
	write_reload_file("warning-apply-duration=5\n");
	assert_int_equal(reload(), RUSD_INVALID);
	assert_string_equal(config.log_level, "error");
	assert_int_equal(unlink(reload_path), 0);
	assert_int_equal(reload(), RUSD_IO);
	assert_string_equal(config.log_level, "error");
	/* A file that is named must be there. */
	assert_int_equal(parse(arguments), 1);
	(void) log_set_level("info");
}

#define config_test(function) cmocka_unit_test_setup(function, clear_environment)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		config_test(defaults_are_those_of_etcd),
		config_test(flags_are_written_as_in_go),
		config_test(bad_flags_are_usage_errors),
		config_test(stray_arguments_are_refused),
		config_test(help_and_version_go_to_standard_output),
		config_test(combinations_are_refused_with_the_texts_of_etcd),
		config_test(values_have_bounds),
		config_test(what_is_not_built_stops_the_start),
		config_test(tls_needs_what_it_needs),
		config_test(what_means_nothing_here_is_accepted_with_a_warning),
		config_test(variables_stand_in_for_flags),
		config_test(flag_and_variable_together_are_refused),
		config_test(bad_variables_are_refused),
		config_test(unknown_variables_are_told_of),
		config_test(addresses_replace_wildcards),
		config_test(url_lists_are_taken_apart),
		config_test(initial_cluster_must_fit),
		config_test(initial_cluster_is_taken_apart),
		config_test(file_is_read_again),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
