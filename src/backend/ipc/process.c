/*
 * process.c
 *	  What every process does first, and what it knows of itself.  All but the postmaster.
 *
 * src/backend/ipc/process.c
 */
#include "rusd.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ipc/inject.h"
#include "ipc/process.h"
#include "utils/log.h"

static void stop_handler(int signal_number, siginfo_t *info, void *context);
static void reload_handler(int signal_number);
static void quit_handler(int signal_number);
static void set_signals(void);
static void die_with_parent(pid_t parent);

Shm *my_shm;
uint32_t my_slot;
uint32_t my_generation;
ProcKind my_kind;
Latch *my_latch;
BackendArea *my_area;
FileOps *my_fs;
Listener my_listener;

volatile int stop_requested;
volatile int reload_requested;

static const char *const kind_titles[] = {
#define RUSD_PROC(symbol, title, essential) title,
#include "ipc/proctypelist.h"
#undef RUSD_PROC
};

StaticAssert(lengthof(kind_titles) == PROC_KIND_COUNT, "a kind of process is missing");

/* What a signal does.  A handler of SIG_DFL or SIG_IGN is allowed. */
static const struct
{
	int number;
	void (*handler)(int signal_number);
} signals[] = {
	{SIGTERM, SIG_IGN}, /* replaced by stop_handler, which wants to know who sends it */
	{SIGHUP, reload_handler}, {SIGQUIT, quit_handler}, /* leave at once */
	{SIGINT, SIG_IGN},  /* a terminal sends it to all: the postmaster decides */
	{SIGPIPE, SIG_IGN}, /* write() says EPIPE */
	{SIGUSR1, SIG_IGN},       {SIGUSR2, SIG_IGN}, /* the postmaster's, for injection points */
	{SIGCHLD, SIG_DFL},       {SIGALRM, SIG_DFL},
};

const char *
process_kind_title(ProcKind kind)
{
	return (unsigned) kind < PROC_KIND_COUNT ? kind_titles[kind] : "unknown";
}

/*
 * A terminal, a shell or a service manager may signal the whole group; when the essential processes
 * leave, and in what order, is the postmaster's to say.
 */
static void
stop_handler(int signal_number, siginfo_t *info, void *context)
{
	(void) signal_number;
	(void) context;
	if (my_kind < PROC_ESSENTIAL_COUNT && info->si_pid != getppid())
		return;
	stop_requested = 1;
	latch_set(my_latch);
}

static void
reload_handler(int signal_number)
{
	(void) signal_number;
	reload_requested = 1;
	latch_set(my_latch);
}

static void
quit_handler(int signal_number)
{
	(void) signal_number;
	_exit(2);
}

/*
 * The order matters: slot and latch before the handlers that use them; the parent-death signal
 * before the look at the parent (else a parent that dies between them is not noticed), and after
 * every change of user or capabilities, which clear it: the postmaster has made those before it
 * forks, or in the child before it calls this.
 */
void
process_begin(ProcKind kind, uint32_t slot, uint32_t generation, pid_t parent)
{
	my_kind = kind;
	my_slot = slot;
	my_generation = generation;
	my_latch = &my_shm->latches[slot];
	my_area = my_shm->areas[slot];
	stop_requested = 0;
	reload_requested = 0;

	latch_init(my_latch, kind >= PROC_ESSENTIAL_COUNT);
	set_signals();
	die_with_parent(parent);
	inject_attach(my_shm->inject);
	/* Essential processes keep the mapping and need no other; the others still have to restrict
	 * theirs. */
	if (kind < PROC_ESSENTIAL_COUNT && my_shm->memfd >= 0)
	{
		close(my_shm->memfd);
		my_shm->memfd = -1;
	}
	log_set_process(process_kind_title(kind));
	/* A backend that waits to be heard keeps its own client waiting, any other all of them. */
	log_set_nonblocking(kind != PROC_BACKEND);
	process_title("%s", process_kind_title(kind));
}

/* Every handler runs without SA_RESTART: a wait ends, and the loop looks at the flags. */
static void
set_signals(void)
{
	sigset_t set;

	for (size_t i = 0; i < lengthof(signals); i++)
	{
		struct sigaction action = {.sa_handler = signals[i].handler};

		if (signals[i].number == SIGTERM)
		{
			action.sa_sigaction = stop_handler;
			action.sa_flags = SA_SIGINFO;
		}
		sigemptyset(&action.sa_mask);
		sigaction(signals[i].number, &action, NULL);
	}
	/* All that the postmaster had blocked around its fork, but not SIGURG of a backend's latch. */
	sigemptyset(&set);
	if (my_kind == PROC_BACKEND)
		sigaddset(&set, SIGURG);
	sigprocmask(SIG_SETMASK, &set, NULL);
}

static void
die_with_parent(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent)
		_exit(2);
}
