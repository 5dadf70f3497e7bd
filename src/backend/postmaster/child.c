/*
 * child.c
 *	  The postmaster's own table of its children, and what each kind runs.
 *
 * Private memory: a child that scribbles over shared memory cannot make the postmaster lose count.
 *
 * src/backend/postmaster/child.c
 */
#include "rusd.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "applier/applier.h"
#include "checkpointer/checkpointer.h"
#include "consensus/consensus.h"
#include "ipc/slot.h"
#include "pager/pager.h"
#include "peer/peer.h"
#include "postmaster_int.h"
#include "session/session.h"
#include "tls/contexts.h"
#include "utils/log.h"
#include "walwriter/walwriter.h"

static Child *children;
static uint32_t children_max;

static Child *free_place(void);
static void drop_privileges(void);
static void keep_keys(int kind, const Connection *connection);
does_not_return static void run_child(Shm *shm, int kind, const Child *child, pid_t parent,
									  const Connection *connection);

void
children_init(uint32_t slots)
{
	children_max = slots + 1; /* and the startup process */
	children = calloc(children_max, sizeof(Child));
	Check(children != NULL);
}

bool
child_start(Shm *shm, int kind, uint32_t slot, const Connection *connection)
{
	Child *child = free_place();
	Child filled = {.kind = kind, .slot = slot};
	pid_t parent = getpid();
	sigset_t all, before;

	Check(child != NULL);
	if (slot != UINT32_MAX)
		filled.generation =
			atomic_load_explicit(&shm->heads[slot].generation, memory_order_relaxed);
	/* No handler of ours may run in the child before it has its own. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	filled.pid = fork();
	if (filled.pid == 0)
		run_child(shm, kind, &filled, parent, connection);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (filled.pid < 0)
	{
		log_warn("could not fork", LOG_TEXT("kind", child_kind_name(kind)), LOG_ERRNO(errno));
		return false;
	}
	if (slot != UINT32_MAX)
		slot_set_pid(shm, slot, filled.pid);
	*child = filled;
	return true;
}

Child *
child_find(pid_t pid)
{
	for (uint32_t i = 0; i < children_max; i++)
	{
		if (children[i].pid == pid)
			return &children[i];
	}
	return NULL;
}

Child *
child_of_slot(int kind, uint32_t slot, uint32_t generation)
{
	for (uint32_t i = 0; i < children_max; i++)
	{
		Child *child = &children[i];

		if (child->pid != 0 && (kind < 0 || child->kind == kind) && child->slot == slot &&
			child->generation == generation)
			return child;
	}
	return NULL;
}

Child *
child_of_link(const Shm *shm, uint64_t member_id, LinkKind kind)
{
	for (uint32_t i = 0; i < children_max; i++)
	{
		Child *child = &children[i];
		const SlotHead *head;

		if (child->pid == 0 || (child->kind != PROC_PEER && child->kind != PROC_TRANSFER))
			continue;
		head = &shm->heads[child->slot];
		if (atomic_load_explicit(&head->link, memory_order_relaxed) == kind &&
			atomic_load_explicit(&head->member_id, memory_order_relaxed) == member_id)
			return child;
	}
	return NULL;
}

void
child_forget(Child *child)
{
	child->pid = 0;
}

uint32_t
children_signal(int kind, int signal)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < children_max; i++)
	{
		if (children[i].pid == 0 || (kind >= 0 && children[i].kind != kind))
			continue;
		found++;
		if (signal != 0)
			(void) kill(children[i].pid,
						signal); /* it may have ended: then it is about to be reaped */
	}
	return found;
}

uint32_t
children_count(int kind)
{
	return children_signal(kind, 0);
}

const char *
child_kind_name(int kind)
{
	static const char *const names[] = {
#define RUSD_PROC(symbol, title, essential) [PROC_##symbol] = title,
#include "ipc/proctypelist.h"
#undef RUSD_PROC
		[CHILD_STARTUP] = "startup",
	};

	return names[kind];
}

static Child *
free_place(void)
{
	return child_find(0);
}

/*
 * Only the postmaster needs what root may do beyond its files (and it only to listen on low ports).
 * Before the parent-death signal is set, which a change of credentials would clear.
 */
static void
drop_privileges(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	/* Not being able to give up is no danger worth a dead node: containers may forbid the call. */
	(void) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	memset(data, 0, sizeof(data));
	(void) syscall(SYS_capset, &header, data);
}

/* Who makes no handshake shall not have what it takes [tls-1]. */
static void
keep_keys(int kind, const Connection *connection)
{
	TlsSide side = TLS_NO_SIDE;

	if (kind == CHILD_STARTUP ||
		(connection == NULL && (kind == PROC_PEER || kind == PROC_TRANSFER)))
		side = TLS_TO_PEERS;
	else if (connection != NULL && connection->transport != TRANSPORT_PLAIN)
		side = connection->listener == LISTENER_PEER ? TLS_PEERS : TLS_CLIENTS;
	tls_contexts_keep(side);
}

does_not_return static void
run_child(Shm *shm, int kind, const Child *child, pid_t parent, const Connection *connection)
{
	drop_privileges();
	for (int i = 0; i < listen_count; i++)
		close(listen_sockets[i].fd);
	my_shm = shm;
	my_listener = connection == NULL ? LISTENER_CLIENT : connection->listener;
	keep_keys(kind, connection);
	if (kind == CHILD_STARTUP)
	{
		/* No slot: it has gone before anybody else comes. */
		sigset_t none;

		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		if (getppid() != parent)
			_exit(1);
		/* What a terminal or a log rotation sends to everybody is not meant for it. */
		for (int signal = 1; signal < NSIG; signal++)
		{
			bool ignored = signal == SIGHUP || signal == SIGINT || signal == SIGUSR1 ||
						   signal == SIGUSR2 || signal == SIGPIPE;

			(void) sigaction(signal, &(struct sigaction){.sa_handler = ignored ? SIG_IGN : SIG_DFL},
							 NULL);
		}
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		log_set_process("startup");
		process_title("startup");
		startup_main(shm);
	}
	process_begin((ProcKind) kind, child->slot, child->generation, parent);
	switch ((ProcKind) kind)
	{
		case PROC_RAFT:
			raft_main();
		case PROC_WALWRITER:
			walwriter_main();
		case PROC_APPLIER:
			applier_main();
		case PROC_PAGER:
			pager_main();
		case PROC_CHECKPOINTER:
			checkpointer_main();
		case PROC_BACKEND:
			/* Whoever takes a backend over shall not find the files of the node open in it. */
			datadir_close_in_backend();
			session_main(connection, NULL);
		case PROC_PEER:
			if (connection == NULL)
				peer_send_main();
			peer_accept_main(connection);
		case PROC_TRANSFER:
			transfer_main();
		case PROC_KIND_COUNT:
			break;
	}
	abort();
}
