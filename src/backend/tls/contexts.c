/*
 * contexts.c
 *	  The node's TLS contexts: from parameters, and anew when files change.
 *
 * The postmaster, and children with what they have inherited. There is no notification of changes:
 * files arrive by renames of folders above them (as secrets of Kubernetes do) and on file systems
 * that notify nobody, and a stat costs less than the fork that follows it.
 *
 * src/backend/tls/contexts.c
 */
#include "rusd.h"

#include <sys/stat.h>
#include <time.h>

#include "port/clock.h"
#include "selfsigned.h"
#include "tls/contexts.h"
#include "utils/config.h"
#include "utils/log.h"

#define NS_PER_S UINT64_C(1000000000)
#define DAY ((int64_t) 24 * 60 * 60)
#define WARN_DAYS 30
#define TICKET_KEYS_NS (12 * 3600 * NS_PER_S)
#define FILES 4 /* of a side: certificate, key, authorities, revocations */

/* By which a change of a file is seen; zeroed where there is none. */
typedef struct FileMark
{
	dev_t device;
	ino_t inode;
	off_t bytes;
	struct timespec written;
	struct timespec changed;
} FileMark;

typedef struct Side
{
	const char *name; /* for the log */
	bool wanted;
	TlsContext *context;
	TlsOptions options;
	FileMark marks[FILES]; /* at the last attempt, whether it succeeded or not */
	int64_t warned_at;     /* seconds since 1970 */
	uint64_t tickets_made_ns;
} Side;

static Side sides[TLS_SIDE_COUNT] = {
	[TLS_CLIENTS] = {.name = "clients"},
	[TLS_PEERS] = {.name = "peers"},
	[TLS_TO_PEERS] = {.name = "connections to peers"},
};

static bool has_tls(const char *urls);
static void set_options(void);
static bool make_certificates(void);
static void mark_files(const Side *side, FileMark marks[FILES]);
static bool load(Side *side);
static void warn_of_idle(const Side *side);
static void warn_of_end(Side *side);
static uint64_t monotonic_ns(void);

bool
tls_contexts_open(void)
{
	sides[TLS_CLIENTS].wanted = has_tls(config.listen_client_urls);
	sides[TLS_PEERS].wanted = has_tls(config.listen_peer_urls);
	sides[TLS_TO_PEERS].wanted = has_tls(config.listen_peer_urls) ||
								 has_tls(config.initial_advertise_peer_urls) ||
								 strstr(config.initial_cluster, "https://") != NULL;
	set_options();
	if (!make_certificates())
		return false;
	for (int i = 0; i < TLS_SIDE_COUNT; i++)
	{
		if (!sides[i].wanted)
			continue;
		mark_files(&sides[i], sides[i].marks);
		if (!load(&sides[i]))
			return false;
	}
	return true;
}

bool
tls_contexts_look(void)
{
	bool replaced = false;

	for (int i = 0; i < TLS_SIDE_COUNT; i++)
	{
		Side *side = &sides[i];
		FileMark marks[FILES];

		if (!side->wanted)
			continue;
		mark_files(side, marks);
		/* Before they are read: what is written meanwhile is another change. */
		if (memcmp(marks, side->marks, sizeof(marks)) != 0)
		{
			memcpy(side->marks, marks, sizeof(marks));
			replaced |= load(side);
		}
		warn_of_end(side);
		if (i != TLS_TO_PEERS && monotonic_ns() - side->tickets_made_ns >= TICKET_KEYS_NS)
		{
			side->tickets_made_ns = monotonic_ns();
			if (tls_context_renew_tickets(side->context) != RUSD_OK)
				log_warn("the keys of session tickets stay", LOG_TEXT("side", side->name));
		}
	}
	return replaced;
}

bool
tls_in_use(void)
{
	return sides[TLS_CLIENTS].wanted || sides[TLS_PEERS].wanted || sides[TLS_TO_PEERS].wanted;
}

TlsContext *
tls_contexts_get(TlsSide side)
{
	return sides[side].context;
}

void
tls_contexts_keep(TlsSide side)
{
	for (int i = 0; i < TLS_SIDE_COUNT; i++)
	{
		if (i == (int) side || !sides[i].wanted)
			continue;
		sides[i].wanted = false;
		if (sides[i].context != NULL)
			tls_context_forget_key(sides[i].context);
	}
}

static bool
has_tls(const char *urls)
{
	ConfigUrl parsed[16];
	int count = config_urls(urls, parsed, lengthof(parsed));

	for (int i = 0; i < count; i++)
	{
		if (config_url_has_tls(&parsed[i]))
			return true;
	}
	return false;
}

static void
set_options(void)
{
	TlsOptions common = {.cert_file = "",
						 .key_file = "",
						 .ca_file = "",
						 .crl_file = "",
						 .allowed_cn = "",
						 .allowed_hostname = "",
						 .cipher_suites = config.cipher_suites,
						 .min_version = config.tls_min_version,
						 .max_version = config.tls_max_version};
	TlsOptions clients = common, peers = common, to_peers;

	clients.listens = true;
	clients.cert_file = config.cert_file;
	clients.key_file = config.key_file;
	clients.ca_file = config.trusted_ca_file;
	clients.crl_file = config.client_crl_file;
	clients.demand_certificate = config.client_cert_auth;
	clients.allowed_hostname = config.client_cert_allowed_hostname;

	peers.cert_file = config.peer_cert_file;
	peers.key_file = config.peer_key_file;
	peers.ca_file = config.peer_trusted_ca_file;
	peers.crl_file = config.peer_crl_file;
	peers.allowed_cn = config.peer_cert_allowed_cn;
	peers.allowed_hostname = config.peer_cert_allowed_hostname;
	to_peers = peers;
	peers.listens = true;
	peers.demand_certificate = config.peer_client_cert_auth;
	peers.check_address = !config.peer_skip_client_san_verification;

	if (*config.peer_client_cert_file != '\0')
	{
		to_peers.cert_file = config.peer_client_cert_file;
		to_peers.key_file = config.peer_client_key_file;
	}
	sides[TLS_CLIENTS].options = clients;
	sides[TLS_PEERS].options = peers;
	sides[TLS_TO_PEERS].options = to_peers;
}

/* --auto-tls and --peer-auto-tls, where no certificate is given. */
static bool
make_certificates(void)
{
	static SelfSigned for_clients, for_peers;
	Side *clients = &sides[TLS_CLIENTS], *peers = &sides[TLS_PEERS];

	if (config.auto_tls && clients->wanted && *config.cert_file == '\0')
	{
		if (!selfsigned_make("client", config.listen_client_urls, &for_clients))
			return false;
		clients->options.cert_file = for_clients.cert_file;
		clients->options.key_file = for_clients.key_file;
	}
	if (config.peer_auto_tls && peers->wanted && *config.peer_cert_file == '\0')
	{
		if (!selfsigned_make("peer", config.listen_peer_urls, &for_peers))
			return false;
		peers->options.cert_file = for_peers.cert_file;
		peers->options.key_file = for_peers.key_file;
		/* Each member has made its own: nobody vouches for any. */
		sides[TLS_TO_PEERS].options.cert_file = for_peers.cert_file;
		sides[TLS_TO_PEERS].options.key_file = for_peers.key_file;
		sides[TLS_TO_PEERS].options.skip_verify = true;
	}
	return true;
}

static void
mark_files(const Side *side, FileMark marks[FILES])
{
	const char *paths[FILES] = {side->options.cert_file, side->options.key_file,
								side->options.ca_file, side->options.crl_file};

	/* Padding takes part in the comparison. */
	memset(marks, 0, FILES * sizeof(FileMark));
	for (int i = 0; i < FILES; i++)
	{
		struct stat state;

		if (*paths[i] == '\0' || stat(paths[i], &state) != 0)
			continue;
		marks[i].device = state.st_dev;
		marks[i].inode = state.st_ino;
		marks[i].bytes = state.st_size;
		marks[i].written = state.st_mtim;
		marks[i].changed = state.st_ctim;
	}
}

/* The new context, or the old one still, where there is one. */
static bool
load(Side *side)
{
	char message[512];
	TlsContext *context;
	Status status = tls_context_create(&side->options, &context, message, sizeof(message));
	bool first = side->context == NULL;

	if (status != RUSD_OK)
	{
		if (first)
			log_error("TLS cannot be set up", LOG_TEXT("for", side->name),
					  LOG_TEXT("error", message));
		else
			log_error("files of TLS have changed and cannot be used: those before them stay",
					  LOG_TEXT("for", side->name), LOG_TEXT("error", message));
		return false;
	}
	tls_context_destroy(side->context);
	side->context = context;
	side->tickets_made_ns = monotonic_ns();
	side->warned_at = 0;
	if (first)
	{
		warn_of_idle(side);
		log_info("TLS is set up", LOG_TEXT("for", side->name),
				 LOG_TEXT("cert", side->options.cert_file), LOG_TEXT("key", side->options.key_file),
				 LOG_TEXT("trusted-ca", side->options.ca_file),
				 LOG_TEXT("crl-file", side->options.crl_file),
				 LOG_BOOL("client-cert-auth",
						  side->options.demand_certificate || *side->options.ca_file != '\0'));
	}
	else
		log_info("files of TLS have been read again", LOG_TEXT("for", side->name),
				 LOG_TEXT("cert", side->options.cert_file));
	warn_of_end(side);
	return true;
}

/* As in etcd nobody is refused then; but who has named a list believes that somebody is. */
static void
warn_of_idle(const Side *side)
{
	const TlsOptions *options = &side->options;

	if (options->listens && !options->demand_certificate && *options->ca_file == '\0' &&
		(*options->crl_file != '\0' || *options->allowed_hostname != '\0' ||
		 *options->allowed_cn != '\0'))
		log_warn("certificates are not demanded of those who connect: everybody is let in, "
				 "whatever these lists say",
				 LOG_TEXT("for", side->name), LOG_TEXT("crl-file", options->crl_file),
				 LOG_TEXT("allowed-hostname", options->allowed_hostname),
				 LOG_TEXT("allowed-cn", options->allowed_cn));
}

static void
warn_of_end(Side *side)
{
	int64_t now = (int64_t) (clock_os.wall_ns(&clock_os) / NS_PER_S);
	int64_t ends = tls_context_expires(side->context);
	time_t at = (time_t) ends;
	char text[32] = "";
	struct tm parts;

	if (ends - now > WARN_DAYS * DAY || now - side->warned_at < DAY)
		return;
	side->warned_at = now;
	if (gmtime_r(&at, &parts) != NULL)
		(void) strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
	if (ends <= now)
		log_error("a certificate has expired", LOG_TEXT("for", side->name),
				  LOG_TEXT("cert", side->options.cert_file), LOG_TEXT("not-after", text));
	else
		log_warn("a certificate expires soon", LOG_TEXT("for", side->name),
				 LOG_TEXT("cert", side->options.cert_file), LOG_TEXT("not-after", text),
				 LOG_INTEGER("days-left", (ends - now) / DAY));
}

static uint64_t
monotonic_ns(void)
{
	return clock_os.monotonic_ns(&clock_os);
}
