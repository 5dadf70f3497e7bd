/*
 * postmaster.c
 *	  The postmaster's loop: accept, fork, reap, restart, shut down.
 *
 * The node is its postmaster to the outside.  It blocks in ppoll only, touches nothing shared but
 * slots, requests and the control state that it reads for the title, and takes no lock; so no damage
 * in shared memory can stop it.  All decisions about the node's state are in advance(), called after
 * every event.
 *
 * Who dies, and what happens:
 *
 * - a backend or peer, any way: its slot is taken back when raft and applier have let go of it
 * - an essential process by EXIT_STOP (disk error, damage): the node ends with status 1
 * - an essential process, any other way: all others are stopped, shared memory is made anew, recovery
 *   runs; three such deaths of one kind at one applied index end the node with EXIT_CRASH_LOOP
 * - the postmaster: the kernel kills all children (parent-death signal)
 *
 * src/backend/postmaster/postmaster.c
 */
#include "rusd.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "activity/metrics.h"
#include "ipc/inject.h"
#include "ipc/slot.h"
#include "postmaster/postmaster.h"
#include "postmaster_int.h"
#include "tls/contexts.h"
#include "utils/config.h"
#include "utils/log.h"

typedef enum NodeState
{
	NODE_STARTUP,    /* the startup process runs, nobody else */
	NODE_RUN,        /* essential processes run, connections are accepted */
	NODE_DRAIN,      /* a stop was asked for: backends finish what they have, bounded */
	NODE_CHECKPOINT, /* no backends any more: a last checkpoint, bounded */
	NODE_LEAVE_RAFT, /* raft marks the end of the log and leaves */
	NODE_LEAVE,      /* the other essential processes leave */
	NODE_CRASHED,    /* an essential process died: the others are killed, then all begins anew */
	NODE_FAILED      /* the node cannot go on: all are killed, then it ends */
} NodeState;

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
#define KILL_AFTER_S 5 /* after SIGQUIT, for processes that do not react */
#define CHECKPOINT_LIMIT_S                                                                         \
	30 /* of the last checkpoint; what it would have saved is replayed from the log */
#define LEAVE_LIMIT_S 10
#define CRASHES_ALLOWED 3
#define HOUSEKEEPING_MS 100
#define HANDSHAKES_MS 5 /* while they are as many as may be */
#define CERTIFICATES_LOOK_S 5

static struct
{
	NodeState state;
	Shm *shm;
	ShmLayout layout;
	uint64_t state_deadline_ns; /* when advance() loses patience with the present state */
	int stop_signal;            /* SIGTERM or SIGINT once asked for */
	bool removed;               /* this member was removed from its cluster */
	uint64_t leave_at_ns;       /* because of that, and then; 0: not yet */
	int exit_status;            /* of a node that ends by itself */
	uint32_t slots_dead;        /* reaped, not yet free */
	bool announced;             /* ready was told to the service manager */
	uint64_t checkpoint_asked;
	uint64_t refused_logged_ns;
	uint64_t accept_again_ns; /* after an error of accept: not before; 0: none */
	bool links_missing;       /* links to other members are to be looked at again */
	uint64_t look_again_ns;   /* at the files of TLS */
	pid_t killed;             /* a backend that was named by the applier; 0: none */
	int crash_kind;
	uint64_t crash_index;
	int crash_count;
} node;

static volatile sig_atomic_t got_stop; /* the signal's number */
static volatile sig_atomic_t got_quit;
static volatile sig_atomic_t got_reload;
static volatile sig_atomic_t got_inject;

static void install_signals(sigset_t *while_waiting);
static void on_signal(int signal);
static bool make_shared_memory(void);
static bool start_essential(void);
static void wait_for_events(const sigset_t *while_waiting);
static int wait_ms(void);
static bool accept_is_paused(void);
static bool may_accept(const ListenSocket *listen_socket);
static void accept_connections(const ListenSocket *listen_socket);
static void turn_away(const ListenSocket *listen_socket);
static void pause_accepting(const char *address, int error);
static void serve_connection(Connection *connection, const struct sockaddr_storage *address);
static void refuse_connection(int socket, const char *why);
static void take_signals(void);
static void reap_children(void);
static void look_at_certificates(void);
static void kill_named_backend(void);
static void see_removal(void);
static void leave_cluster(void);
static void link_ended(const Child *child, int wait_status);
static bool stop_is_wanted(void);
static void update_links(void);
static void child_ended(Child *child, int wait_status);
static void essential_ended(const Child *child, int wait_status);
static void begin_kill(NodeState state);
static void free_dead_slots(void);
static bool advance(void);
static void enter(NodeState state, uint64_t limit_ns);
static bool advance_startup(void);
static void advance_stop(void);
static void announce_ready(void);
static void load_injections(void);
does_not_return static void end_by_signal(int signal);

int
postmaster_main(void)
{
	sigset_t while_waiting;

	if (!datadir_open(config.data_dir))
		return 1;
	my_fs = fs_os_open(config.data_dir);
	if (my_fs == NULL)
	{
		log_error("could not open data directory", LOG_TEXT("path", config.data_dir),
				  LOG_ERRNO(errno));
		return 1;
	}
	log_info("starting rusd", LOG_TEXT("version", RUSD_VERSION_STRING),
			 LOG_TEXT("etcd-version", ETCD_VERSION_STRING), LOG_TEXT("name", config.name),
			 LOG_TEXT("data-dir", config.data_dir), LOG_INTEGER("pid", getpid()));
	if (!sizing_layout(&node.layout) || !tls_contexts_open() || !listen_open())
		return 1;
	sizing_log_bound(&node.layout);
	children_init(node.layout.slot_count);
	datadir_write_pid();
	install_signals(&while_waiting);
	process_title("postmaster");
	if (!make_shared_memory() || !child_start(node.shm, CHILD_STARTUP, UINT32_MAX, NULL))
		return 1;
	/* Until here whoever started us may be waited for, so that he learns why it failed. */
	log_set_nonblocking(true);
	enter(NODE_STARTUP, 0);
	while (advance())
		wait_for_events(&while_waiting);
	if (node.stop_signal != 0 && node.exit_status == 0)
		end_by_signal(node.stop_signal);
	return node.exit_status;
}

/* ---- signals ---- */

/* All that we handle is blocked but in ppoll, so that handlers run at one place. */
static void
install_signals(sigset_t *while_waiting)
{
	static const int handled[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGCHLD, SIGUSR2};
	sigset_t blocked;

	sigemptyset(&blocked);
	for (size_t i = 0; i < lengthof(handled); i++)
	{
		struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

		sigaddset(&blocked, handled[i]);
		sigaction(handled[i], &action, NULL);
	}
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &blocked, while_waiting);
	for (size_t i = 0; i < lengthof(handled); i++)
		sigdelset(while_waiting, handled[i]);
}

static void
on_signal(int signal)
{
	if (signal == SIGTERM || signal == SIGINT)
	{
		if (got_stop == 0)
			got_stop = signal;
	}
	else if (signal == SIGQUIT)
		got_quit = 1;
	else if (signal == SIGHUP)
		got_reload = 1;
	else if (signal == SIGUSR2)
		got_inject = 1;
}

static void
take_signals(void)
{
	if (got_quit)
	{
		/* Immediate: what is acknowledged is in the log, recovery does the rest. */
		log_warn("received signal; stopping at once", LOG_TEXT("signal", "quit"));
		node.exit_status = 2;
		got_quit = 0;
		begin_kill(NODE_FAILED);
	}
	if (got_stop && node.stop_signal == 0)
	{
		node.stop_signal = got_stop;
		log_info("received signal; shutting down",
				 LOG_TEXT("signal", got_stop == SIGTERM ? "terminated" : "interrupt"));
	}
	if (got_reload)
	{
		got_reload = 0;
		if (config_reload() == RUSD_OK)
		{
			node.look_again_ns = 0;
			log_info("configuration has been read again");
			(void) children_signal(-1, SIGHUP);
		}
		else
			log_warn("configuration was not taken: nothing is changed");
	}
	if (got_inject)
	{
		got_inject = 0;
		load_injections();
	}
}

/* ---- shared memory and processes ---- */

static bool
make_shared_memory(void)
{
	Status status = shm_create(&node.layout, true, &node.shm);

	if (status != RUSD_OK)
	{
		log_error("could not make shared memory", LOG_TEXT("error", status_text(status)),
				  LOG_ERRNO(errno));
		return false;
	}
	node.slots_dead = 0;
	handshakes_forget();
	links_begin();
	load_injections();
	return true;
}

static bool
start_essential(void)
{
	for (uint32_t slot = 0; slot < PROC_ESSENTIAL_COUNT; slot++)
	{
		slot_occupy(node.shm, slot);
		if (!child_start(node.shm, (int) slot, slot, NULL))
			return false;
	}
	return true;
}

static void
load_injections(void)
{
#ifdef RUSD_INJECT
	char text[4096] = "";
	const char *from_environment = getenv("RUSD_INJECT");
	int file = my_fs->open(my_fs, "inject", O_RDONLY);

	if (file >= 0)
	{
		(void) my_fs->pread(my_fs, file, text, sizeof(text) - 1, 0); /* none: nothing is attached */
		my_fs->close(my_fs, file);
	}
	else if (from_environment != NULL)
		snprintf(text, sizeof(text), "%s", from_environment);
	inject_configure(node.shm->inject, text);
#endif
}

/* ---- events ---- */

static void
wait_for_events(const sigset_t *while_waiting)
{
	struct pollfd polled[LISTEN_MAX];
	/* Until the node can serve, connections wait in the accept queue (BOOT-25), but those of founders who ask a founder. */
	bool founds = node.state == NODE_STARTUP &&
				  atomic_load_explicit(&node.shm->requests->founding, memory_order_acquire) != 0;
	int count = (node.state == NODE_RUN || founds) && !accept_is_paused() ? listen_count : 0;
	int timeout_ms = wait_ms();
	struct timespec timeout = {.tv_sec = timeout_ms / 1000,
							   .tv_nsec = (long) (timeout_ms % 1000) * 1000000};
	int ready;

	for (int i = 0; i < count; i++)
		polled[i] = (struct pollfd){.fd = (founds ? listen_sockets[i].listener == LISTENER_PEER
												  : may_accept(&listen_sockets[i]))
											  ? listen_sockets[i].fd
											  : -1,
									.events = POLLIN};
	ready = ppoll(polled, (nfds_t) count, timeout_ms < 0 ? NULL : &timeout, while_waiting);
	take_signals();
	reap_children();
	look_at_certificates();
	kill_named_backend();
	see_removal();
	update_links();
	for (int i = 0; ready > 0 && i < count; i++)
	{
		if (polled[i].revents != 0 && founds)
			turn_away(&listen_sockets[i]);
		else if (polled[i].revents != 0 && node.state == NODE_RUN)
			accept_connections(&listen_sockets[i]);
	}
}

/* Founders that start together would else each wait for the answers of the others, which are as far as they are. */
static void
turn_away(const ListenSocket *listen_socket)
{
	int socket;

	while ((socket = accept4(listen_socket->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(socket);
}

static int
wait_ms(void)
{
	uint64_t now;

	if (node.state == NODE_RUN && node.announced && node.slots_dead == 0 &&
		node.accept_again_ns == 0 && !node.links_missing && !node.removed)
	{
		if (!tls_in_use())
			return -1;
		return handshakes_have_room(node.shm) ? CERTIFICATES_LOOK_S * 1000 : HANDSHAKES_MS;
	}
	if (node.state_deadline_ns == 0)
		return HOUSEKEEPING_MS;
	now = clock_os.monotonic_ns(&clock_os);
	if (now >= node.state_deadline_ns)
		return 0;
	return (int) Min((node.state_deadline_ns - now) / NS_PER_MS + 1, HOUSEKEEPING_MS);
}

static bool
accept_is_paused(void)
{
	if (node.accept_again_ns == 0)
		return false;
	if (clock_os.monotonic_ns(&clock_os) < node.accept_again_ns)
		return true;
	node.accept_again_ns = 0;
	return false;
}

/*
 * Where handshakes are as many as may be, further connections wait in the accept queue; those of
 * members, which have slots of their own, never wait for those of clients.
 */
static bool
may_accept(const ListenSocket *listen_socket)
{
	return listen_socket->transport == TRANSPORT_PLAIN ||
		   listen_socket->listener == LISTENER_PEER || handshakes_have_room(node.shm);
}

static void
accept_connections(const ListenSocket *listen_socket)
{
	/* A few at a time, so that children are reaped in a storm of connections too. */
	for (int i = 0; i < 64; i++)
	{
		struct sockaddr_storage address;
		socklen_t length = sizeof(address);
		int socket;

		if (!may_accept(listen_socket))
			return;
		socket = accept4(listen_socket->fd, (struct sockaddr *) &address, &length,
						 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (socket >= 0)
		{
			Connection connection = {.socket = socket,
									 .listener = listen_socket->listener,
									 .transport = listen_socket->transport,
									 .listen_number = (uint32_t) (listen_socket - listen_sockets)};

			serve_connection(&connection, &address);
			continue;
		}
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			pause_accepting(listen_socket->address, errno);
		return;
	}
}

/*
 * Out of descriptors or memory: the connection stays in the queue and the socket readable, so
 * asking again at once would only burn the processor that may bring relief.
 */
static void
pause_accepting(const char *address, int error)
{
	uint64_t now = clock_os.monotonic_ns(&clock_os);

	node.accept_again_ns = now + HOUSEKEEPING_MS * NS_PER_MS;
	if (now - node.refused_logged_ns < NS_PER_S)
		return;
	node.refused_logged_ns = now;
	log_warn("could not accept a connection", LOG_TEXT("address", address), LOG_ERRNO(error));
}

static void
serve_connection(Connection *connection, const struct sockaddr_storage *address)
{
	char peer[64];
	uint32_t slot;

	listen_peer_name(address, peer, sizeof(peer));
	connection->peer = peer;
	if (connection->transport != TRANSPORT_PLAIN)
		(void) tls_contexts_look();
	free_dead_slots();
	if (connection->listener == LISTENER_PEER)
	{
		links_make_room(node.shm);
		if (!slot_allocate_link(node.shm, LINK_ACCEPTED, 0, &slot))
		{
			refuse_connection(connection->socket,
							  "all slots for links to other members are in use");
			return;
		}
	}
	else if (address->ss_family == AF_UNIX ? !slot_allocate_local(node.shm, &slot)
										   : !slot_allocate(node.shm, &slot))
	{
		refuse_connection(connection->socket, "all connections of --max-connections are in use");
		return;
	}
	if (!child_start(node.shm, connection->listener == LISTENER_PEER ? PROC_PEER : PROC_BACKEND,
					 slot, connection))
	{
		slot_mark_dead(node.shm, slot);
		node.slots_dead++;
		refuse_connection(connection->socket, "no process could be made for it");
		return;
	}
	if (connection->transport != TRANSPORT_PLAIN && connection->listener == LISTENER_CLIENT)
		handshake_began(node.shm, slot);
	close(connection->socket);
}

static void
refuse_connection(int socket, const char *why)
{
	uint64_t now = clock_os.monotonic_ns(&clock_os);

	close(socket);
	atomic_fetch_add_explicit(&node.shm->ended_counters[COUNTER_CONNECTIONS_REFUSED], 1,
							  memory_order_relaxed);
	/* One line a second tells as much as a thousand. */
	if (now - node.refused_logged_ns < NS_PER_S)
		return;
	node.refused_logged_ns = now;
	log_warn("a connection was refused", LOG_TEXT("reason", why));
}

static void
reap_children(void)
{
	pid_t pid;
	int wait_status;

	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0)
	{
		Child *child = child_find(pid);

		/* As process 1 of a container we are also given orphans of others. */
		if (child != NULL)
			child_ended(child, wait_status);
	}
	free_dead_slots();
}

/* Peer links live longer than a certificate may, and warnings come without connections too. */
static void
look_at_certificates(void)
{
	uint64_t now = clock_os.monotonic_ns(&clock_os);

	if (!tls_in_use() || now < node.look_again_ns)
		return;
	node.look_again_ns = now + CERTIFICATES_LOOK_S * NS_PER_S;
	(void) tls_contexts_look();
}

/*
 * The applier has named a backend that holds pages back and does not react (applier/holders.c), and
 * has woken us with a SIGCHLD.  It is named until it is gone, and told of once.
 */
static void
kill_named_backend(void)
{
	uint64_t name;
	const Child *child;

	if (node.shm == NULL)
		return;
	name = atomic_load_explicit(&node.shm->requests->backend_to_kill, memory_order_acquire);
	if (likely(name == 0))
		return;
	child = child_of_slot(-1, (uint32_t) (name >> 32), (uint32_t) name);
	/* A transfer holds pages too. */
	if (child == NULL || child->pid == node.killed || child->slot < PROC_ESSENTIAL_COUNT)
		return;
	node.killed = child->pid;
	(void) kill(child->pid, SIGKILL);
	atomic_fetch_add_explicit(&node.shm->ended_counters[COUNTER_BACKENDS_KILLED], 1,
							  memory_order_relaxed);
	log_warn("killed a backend that held back pages which others wait for",
			 LOG_INTEGER("pid", child->pid), LOG_UNSIGNED("slot", child->slot));
}

/*
 * Members have come or gone: whoever has seen it, applier or a peer, has woken us with a SIGCHLD.  Links stay until raft has
 * left: it may have to hand over.
 */
static void
update_links(void)
{
	if (node.state == NODE_RUN)
		node.links_missing = !links_update(node.shm);
}

/*
 * CLUSTER-33: its cluster goes on without it.  A moment later, so that the answer to whoever has removed it through this
 * very member is sent, and that the others hear of what it has committed as their leader.
 */
static void
see_removal(void)
{
	if (node.shm != NULL &&
		atomic_load_explicit(&node.shm->requests->member_removed, memory_order_acquire) != 0)
		leave_cluster();
}

static void
leave_cluster(void)
{
	if (node.removed)
		return;
	node.removed = true;
	atomic_store(&node.shm->requests->member_removed, 1);
	node.leave_at_ns = clock_os.monotonic_ns(&clock_os) + NS_PER_S;
	log_warn("this member was removed from its cluster: the node stops; its data directory is of "
			 "no use any more",
			 LOG_TEXT("data-dir", config.data_dir));
}

/* What other members say of this one when it comes to them is its process's exit status. */
static void
link_ended(const Child *child, int wait_status)
{
	links_ended(node.shm, child->slot);
	if (!WIFEXITED(wait_status))
		return;
	if (WEXITSTATUS(wait_status) == EXIT_REMOVED)
		leave_cluster();
	else if (WEXITSTATUS(wait_status) == EXIT_STOP && node.state == NODE_RUN)
	{
		node.exit_status = 1;
		begin_kill(NODE_FAILED);
	}
}

static bool
stop_is_wanted(void)
{
	return node.stop_signal != 0 ||
		   (node.removed && clock_os.monotonic_ns(&clock_os) >= node.leave_at_ns);
}

static void
child_ended(Child *child, int wait_status)
{
	Child ended = *child;

	child_forget(child);
	if (ended.pid == node.killed)
		node.killed = 0;
	if (ended.kind >= PROC_ESSENTIAL_COUNT && ended.kind < PROC_KIND_COUNT)
	{
		if (WIFSIGNALED(wait_status))
			log_warn(ended.kind == PROC_BACKEND ? "a backend was ended by a signal"
												: "the process of a link was ended by a signal",
					 LOG_INTEGER("pid", ended.pid),
					 LOG_TEXT("signal", strsignal(WTERMSIG(wait_status))));
		if (ended.kind == PROC_PEER)
			link_ended(&ended, wait_status);
		slot_mark_dead(node.shm, ended.slot);
		node.slots_dead++;
		return;
	}
	if (ended.kind == CHILD_STARTUP && WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0)
		return; /* advance() sees that it is gone */
	/* What we told to go may go in any way. */
	if (node.state == NODE_CRASHED || node.state == NODE_FAILED)
		return;
	if ((node.state == NODE_LEAVE_RAFT || node.state == NODE_LEAVE) && WIFEXITED(wait_status) &&
		WEXITSTATUS(wait_status) == 0)
		return;
	essential_ended(&ended, wait_status);
}

static void
essential_ended(const Child *child, int wait_status)
{
	uint64_t index =
		atomic_load_explicit(&node.shm->positions->applied_index, memory_order_relaxed);

	if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == EXIT_STOP)
	{
		log_error("the node stops", LOG_TEXT("because-of", child_kind_name(child->kind)),
				  LOG_INTEGER("pid", child->pid));
		node.exit_status = 1;
		begin_kill(NODE_FAILED);
		return;
	}
	if (WIFSIGNALED(wait_status))
		log_error("a process of the node was ended by a signal",
				  LOG_TEXT("kind", child_kind_name(child->kind)), LOG_INTEGER("pid", child->pid),
				  LOG_TEXT("signal", strsignal(WTERMSIG(wait_status))));
	else
		log_error("a process of the node has ended", LOG_TEXT("kind", child_kind_name(child->kind)),
				  LOG_INTEGER("pid", child->pid),
				  LOG_INTEGER("exit-status", WEXITSTATUS(wait_status)));
	if (node.crash_kind == child->kind && node.crash_index == index)
		node.crash_count++;
	else
		node.crash_count = 1;
	node.crash_kind = child->kind;
	node.crash_index = index;
	if (node.crash_count >= CRASHES_ALLOWED)
	{
		log_error("the same process died again and again at the same place of the log",
				  LOG_TEXT("kind", child_kind_name(child->kind)),
				  LOG_UNSIGNED("applied-index", index), LOG_INTEGER("times", node.crash_count));
		node.exit_status = EXIT_CRASH_LOOP;
		begin_kill(NODE_FAILED);
		return;
	}
	/* A node that was told to stop stops; what was acknowledged is in the log. */
	if (stop_is_wanted())
	{
		node.exit_status = 1;
		begin_kill(NODE_FAILED);
		return;
	}
	begin_kill(NODE_CRASHED);
}

static void
begin_kill(NodeState state)
{
	(void) children_signal(-1, SIGQUIT);
	enter(state, KILL_AFTER_S * NS_PER_S);
}

static void
free_dead_slots(void)
{
	if (node.slots_dead == 0 || node.shm == NULL)
		return;
	node.slots_dead -= slot_free_dead(node.shm);
}

/* ---- the state of the node ---- */

static void
enter(NodeState state, uint64_t limit_ns)
{
	node.state = state;
	node.state_deadline_ns = limit_ns == 0 ? 0 : clock_os.monotonic_ns(&clock_os) + limit_ns;
}

static bool
deadline_passed(void)
{
	return node.state_deadline_ns != 0 &&
		   clock_os.monotonic_ns(&clock_os) >= node.state_deadline_ns;
}

/* Moves on as far as it can; false: the node has ended. */
static bool
advance(void)
{
	switch (node.state)
	{
		case NODE_STARTUP:
			return advance_startup();
		case NODE_RUN:
			if (!node.announced)
				announce_ready();
			if (stop_is_wanted())
			{
				listen_close();
				/* A leader hands over before it drains its clients: what they ask goes to the next one. */
				atomic_store(&node.shm->requests->stop_wanted, 1);
				latch_set(&node.shm->latches[PROC_RAFT]);
				(void) children_signal(PROC_BACKEND, SIGTERM);
				enter(NODE_DRAIN,
					  (5 * 1000 + 2 * (uint64_t) config.election_timeout + 1000) * NS_PER_MS);
				advance_stop();
			}
			return true;
		case NODE_DRAIN:
		case NODE_CHECKPOINT:
		case NODE_LEAVE_RAFT:
			advance_stop();
			return true;
		case NODE_LEAVE:
			if (children_count(-1) == 0)
				return false;
			if (deadline_passed())
				begin_kill(NODE_FAILED);
			return true;
		case NODE_CRASHED:
		case NODE_FAILED:
			if (children_count(-1) > 0)
			{
				if (deadline_passed())
				{
					(void) children_signal(-1, SIGKILL);
					enter(node.state, KILL_AFTER_S * NS_PER_S);
				}
				return true;
			}
			if (node.state == NODE_FAILED || stop_is_wanted())
				return false;
			log_info("all processes of the node are gone; making shared memory anew");
			shm_destroy(node.shm);
			node.shm = NULL;
			node.announced = false;
			if (!make_shared_memory() || !child_start(node.shm, CHILD_STARTUP, UINT32_MAX, NULL))
			{
				node.exit_status = 1;
				return false;
			}
			enter(NODE_STARTUP, 0);
			return true;
	}
	return true;
}

static bool
advance_startup(void)
{
	if (children_count(CHILD_STARTUP) > 0)
	{
		if (stop_is_wanted())
			begin_kill(NODE_FAILED);
		return true;
	}
	if (stop_is_wanted())
		return false;
	enter(NODE_RUN, 0);
	if (!start_essential())
	{
		node.exit_status = 1;
		begin_kill(NODE_FAILED);
		return true;
	}
	update_links();
	return true;
}

/* Taken, or not to be had. */
static bool
last_checkpoint_is_over(void)
{
	const ShmRequests *requests = node.shm->requests;

	if (atomic_load(&requests->checkpoint_done) >= node.checkpoint_asked)
		return true;
	if (atomic_load(&requests->checkpoint_failed) >= node.checkpoint_asked)
	{
		log_warn("no room on the disk for a last checkpoint: the next start replays the log from "
				 "the one before");
		return true;
	}
	if (!deadline_passed())
		return false;
	log_warn("the last checkpoint takes too long: the next start replays the log from the one "
			 "before");
	return true;
}

/* BOOT-50: clients first, then the data, then the processes. */
static void
advance_stop(void)
{
	if (node.state == NODE_DRAIN)
	{
		if (children_count(PROC_BACKEND) > 0)
		{
			if (deadline_passed())
			{
				log_warn("connections did not end in time and are cut");
				(void) children_signal(PROC_BACKEND, SIGKILL);
				enter(NODE_DRAIN, KILL_AFTER_S * NS_PER_S);
			}
			return;
		}
		node.checkpoint_asked = atomic_fetch_add(&node.shm->requests->checkpoint_wanted, 1) + 1;
		latch_set(&node.shm->latches[PROC_CHECKPOINTER]);
		enter(NODE_CHECKPOINT, CHECKPOINT_LIMIT_S * NS_PER_S);
	}
	if (node.state == NODE_CHECKPOINT)
	{
		if (!last_checkpoint_is_over())
			return;
		atomic_store(&node.shm->requests->stop_wanted, 2);
		(void) children_signal(PROC_RAFT, SIGTERM);
		enter(NODE_LEAVE_RAFT, LEAVE_LIMIT_S * NS_PER_S);
	}
	if (node.state == NODE_LEAVE_RAFT)
	{
		if (children_count(PROC_RAFT) > 0 && !deadline_passed())
			return;
		(void) children_signal(-1, SIGTERM);
		enter(NODE_LEAVE, LEAVE_LIMIT_S * NS_PER_S);
	}
}

/* Tells the service manager, once the node can serve. */
static void
announce_ready(void)
{
	ControlState control;
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int socket_file;

	if (!shm_control_try_read(node.shm, &control) || !control.ready)
		return;
	node.announced = true;
	if (name == NULL || strlen(name) >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, name, strlen(name) + 1);
	if (address.sun_path[0] == '@')
		address.sun_path[0] = '\0';
	socket_file = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (socket_file < 0)
		return;
	if (sendto(socket_file, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *) &address,
			   (socklen_t) (offsetof(struct sockaddr_un, sun_path) + strlen(name))) < 0)
		log_warn("could not notify the service manager", LOG_ERRNO(errno));
	close(socket_file);
}

/* BOOT-52: the parent sees by what we ended; process 1 cannot be ended by a signal without a
 * handler. */
does_not_return static void
end_by_signal(int signal_number)
{
	sigset_t set;

	if (getpid() != 1)
	{
		signal(signal_number, SIG_DFL);
		sigemptyset(&set);
		sigaddset(&set, signal_number);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		(void) kill(getpid(), signal_number);
	}
	_exit(0);
}
