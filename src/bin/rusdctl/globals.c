/*
 * globals.c
 *	  Options of all commands: their table, and what is made of it.
 *
 * src/bin/rusdctl/globals.c
 */
#include "rusd_fe.h"

#include <termios.h>
#include <unistd.h>

#include "ctl.h"
#include "discovery.h"

Ctl ctl;

/* ---- global flags ---- */

static const char *endpoints_text = "127.0.0.1:2379";
static const char *format_text = "simple";
static const char *user_text = "";
static const char *password_text = "";
static const char *cert = "", *key = "", *cacert = "", *jwt_token = "", *discovery = "",
				  *discovery_name = "";
static int64_t keepalive_time, keepalive_timeout, max_request_bytes, max_recv_bytes;
static bool insecure_transport = true, insecure_discovery = true;

Flag global_flags[] = {
	{"auth-jwt-token", 0, FLAG_TEXT, &jwt_token, NULL, "token to send with each request", NULL,
	 false},
	{"cacert", 0, FLAG_TEXT, &cacert, NULL,
	 "certificates that the server's has to be signed by; the system's without it", NULL, false},
	{"cert", 0, FLAG_TEXT, &cert, NULL, "certificate to show to the server; --key too", NULL,
	 false},
	{"command-timeout", 0, FLAG_DURATION, &ctl.command_timeout, "5s",
	 "time for each request, connecting not counted", NULL, false},
	{"debug", 0, FLAG_BOOL, &ctl.debug, NULL,
	 "say on standard error what is called and what it answers", NULL, false},
	{"dial-timeout", 0, FLAG_DURATION, &ctl.dial_timeout, "2s",
	 "time for connecting to an endpoint", NULL, false},
	{"discovery-srv", 'd', FLAG_TEXT, &discovery, NULL,
	 "domain whose SRV records name the endpoints", NULL, false},
	{"discovery-srv-name", 0, FLAG_TEXT, &discovery_name, NULL,
	 "suffix of the names _etcd-client-ssl and _etcd-client that are looked up", NULL, false},
	{"endpoints", 0, FLAG_TEXT, &endpoints_text, "127.0.0.1:2379",
	 "comma-separated; the first that takes the connection is used", NULL, false},
	{"help", 'h', FLAG_BOOL, &ctl.help, NULL, "this page, or that of a command", NULL, false},
	{"hex", 0, FLAG_BOOL, &ctl.hex, NULL,
	 "keys and values as \\xNN; in json and fields, ids in hexadecimal", NULL, false},
	{"insecure-discovery", 0, FLAG_BOOL, &insecure_discovery, "true",
	 "false: of what --discovery-srv finds, only https and certificates for its domain", NULL,
	 false},
	{"insecure-skip-tls-verify", 0, FLAG_BOOL, &ctl.connect.skip_verify, NULL,
	 "with TLS, take any certificate of the server for good", NULL, false},
	{"insecure-transport", 0, FLAG_BOOL, &insecure_transport, "true",
	 "false: TLS also to endpoints without a scheme", NULL, false},
	{"keepalive-time", 0, FLAG_DURATION, &keepalive_time, NULL, "accepted, without effect", NULL,
	 false},
	{"keepalive-timeout", 0, FLAG_DURATION, &keepalive_timeout, NULL, "accepted, without effect",
	 NULL, false},
	{"key", 0, FLAG_TEXT, &key, NULL, "key of --cert", NULL, false},
	{"max-recv-bytes", 0, FLAG_INT, &max_recv_bytes, NULL, "accepted, without effect", NULL, false},
	{"max-request-bytes", 0, FLAG_INT, &max_request_bytes, NULL, "accepted, without effect", NULL,
	 false},
	{"password", 0, FLAG_TEXT, &password_text, NULL, "password of --user", NULL, false},
	{"user", 0, FLAG_TEXT, &user_text, NULL, "NAME[:PASSWORD]; asked for where it is missing", NULL,
	 false},
	{"version", 0, FLAG_BOOL, &ctl.version, NULL, "the version of this program", NULL, false},
	{"write-out", 'w', FLAG_TEXT, &format_text, "simple", "simple, fields, json, protobuf or table",
	 "simple fields json protobuf table", false},
	{0}};

/* ---- global options into what is used ---- */

static void
set_tls(void)
{
	bool files = *cacert != '\0' || *cert != '\0' || *key != '\0';
	char *error;

	ctl.connect.cacert = cacert;
	ctl.connect.cert = cert;
	ctl.connect.key = key;
	ctl.connect.tls = files || !insecure_transport;
	error = files ? connection_load_files(&ctl.connect) : NULL;
	if (error != NULL)
		ctl_fail(EXIT_BAD_ARGS, "%s", error);
}

/* What --discovery-srv finds in place of --endpoints. */
static void
discover(void)
{
	const char *error;
	size_t count;
	char **found = discover_endpoints(discovery, discovery_name, &count, &error);

	if (found == NULL)
		ctl_fail(EXIT_ERROR, "%s", error);
	ctl.endpoints = ctl_alloc((count + 1) * sizeof(*ctl.endpoints));
	for (size_t i = 0; i < count; i++)
	{
		if (!insecure_discovery && strncmp(found[i], "http://", 7) == 0)
			ctl_complain("ignoring discovered insecure endpoint \"%s\"", found[i]);
		else
			ctl.endpoints[ctl.endpoint_count++] = found[i];
	}
	if (!insecure_discovery)
		ctl.connect.server_name = discovery;
	if (ctl.endpoint_count == 0)
		ctl_fail(EXIT_ERROR, "no endpoint of %s may be used", discovery);
}

void
set_endpoints(void)
{
	char *text = ctl_printf("%s", endpoints_text);
	size_t count = 1;

	set_tls();
	if (*discovery != '\0')
	{
		discover();
		return;
	}
	for (const char *at = text; *at != '\0'; at++)
		count += *at == ',';
	ctl.endpoints = ctl_alloc(count * sizeof(*ctl.endpoints));
	for (char *one; (one = strsep(&text, ",")) != NULL;)
	{
		one += strspn(one, " ");
		one[strcspn(one, " ")] = '\0';
		if (*one != '\0')
			ctl.endpoints[ctl.endpoint_count++] = one;
	}
	if (ctl.endpoint_count == 0)
		ctl_fail(EXIT_BAD_ARGS, "no endpoints given");
}

/* Asks at the terminal, without echo. */
static const char *
ask_password(void)
{
	FILE *tty = fopen("/dev/tty", "r+");
	struct termios before;
	struct termios silent;
	char line[512];

	if (tty == NULL)
		ctl_fail(EXIT_BAD_ARGS, "--user without a password, and no terminal to ask at");
	if (tcgetattr(fileno(tty), &before) != 0)
		ctl_fail(EXIT_ERROR, "could not ask for the password: %s", strerror(errno));
	silent = before;
	silent.c_lflag &= (tcflag_t) ~ECHO;
	fputs("Password: ", tty);
	fflush(tty);
	(void) tcsetattr(fileno(tty), TCSAFLUSH, &silent); /* at worst it is seen */
	if (fgets(line, sizeof(line), tty) == NULL)
		line[0] = '\0';
	(void) tcsetattr(fileno(tty), TCSAFLUSH, &before);
	fputc('\n', tty);
	fclose(tty);
	line[strcspn(line, "\n")] = '\0';
	return ctl_printf("%s", line);
}

static void
set_user(void)
{
	size_t length = strcspn(user_text, ":");

	if (*user_text == '\0')
		return;
	ctl.user = ctl_printf("%.*s", (int) length, user_text);
	if (*password_text != '\0' && user_text[length] == ':')
		ctl_fail(EXIT_BAD_ARGS, "the password is given by --user and by --password");
	if (*password_text != '\0')
		ctl.password = password_text;
	else if (user_text[length] == ':')
		ctl.password = user_text + length + 1;
	else
		ctl.password = ask_password();
}

void
set_globals(void)
{
	/* in the order of OutputFormat */
	static const char *const formats[] = {"simple", "fields", "json", "protobuf", "table"};
	size_t f = 0;

	while (f < lengthof(formats) && strcmp(format_text, formats[f]) != 0)
		f++;
	if (f == lengthof(formats))
		ctl_fail(EXIT_UNSUPPORTED, "unsupported output format");
	ctl.format = (OutputFormat) f;
	ctl.jwt_token = *jwt_token != '\0' ? jwt_token : NULL;
	set_endpoints();
	set_user();
}
