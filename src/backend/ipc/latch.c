/*
 * latch.c
 *	  Sleeping and waking, by futex or by SIGURG and ppoll.  Any process.
 *
 * Why no wake is lost.  The owner stores sleeping = 1 and then loads word; a setter stores
 * word = 1 and then loads sleeping; all four are sequentially consistent, so at least one of
 * the two loads sees the other's store.  If it is the owner's, it does not sleep.  If it is
 * the setter's, it makes the system call:
 *
 * Futex: the kernel compares word with 0 under its own lock before it puts the owner to sleep,
 * so a wake that comes before the owner is asleep is not needed, and one that comes later
 * finds it.
 *
 * SIGURG: blocked but within ppoll(), which unblocks it and sleeps in one step.  A signal that
 * was sent earlier is pending and ends the ppoll at once.
 *
 * Why what was written before latch_set is seen after latch_reset: both are sequentially
 * consistent read-modify-writes of word.  If the reset comes later in the order of word, it
 * synchronizes with the set; if it comes first, word is 1 when the owner wants to sleep, so
 * it goes round once more and resets again.
 *
 * Who may die where.  A setter killed between its store of word and its system call leaves
 * an owner that may sleep although its latch is set.  Therefore latch_set never takes "word
 * is already 1" for "somebody else is waking it": each setter looks at sleeping and makes
 * the call itself, which costs a needless call now and then, and the next one to set the
 * latch repairs what the dead one left.  An owner that dies leaves sleeping = 1: setters
 * make calls that wake nobody until the slot's next owner begins.
 *
 * src/backend/ipc/latch.c
 */
#include "rusd.h"

#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ipc/latch.h"

static void urgent_handler(int signal_number);
static bool sleep_futex(Latch *latch, int timeout_ms);
static int sleep_poll(struct pollfd *descriptors, nfds_t count, int timeout_ms);

/* Does nothing: that a signal was caught is what ends ppoll(). */
static void
urgent_handler(int signal_number)
{
	(void) signal_number;
}

void
latch_init(Latch *latch, bool use_signal)
{
	atomic_store(&latch->sleeping, 0);
	atomic_store(&latch->word, 0);
	if (use_signal)
	{
		struct sigaction action = {.sa_handler = urgent_handler};
		sigset_t set;

		sigemptyset(&set);
		sigaddset(&set, SIGURG);
		sigprocmask(SIG_BLOCK, &set, NULL);
		sigemptyset(&action.sa_mask);
		sigaction(SIGURG, &action, NULL);
	}
	atomic_store(&latch->pid, use_signal ? getpid() : 0);
}

void
latch_set(Latch *latch)
{
	int32_t pid;
	int saved;

	/* An exchange, for a store would have to be followed by a fence. */
	atomic_exchange_explicit(&latch->word, 1, memory_order_seq_cst);
	if (atomic_load_explicit(&latch->sleeping, memory_order_seq_cst) == 0)
		return;
	saved = errno;
	pid = atomic_load_explicit(&latch->pid, memory_order_relaxed);
	if (pid == 0)
		syscall(SYS_futex, (uint32_t *) &latch->word, FUTEX_WAKE, 1, NULL, NULL, 0);
	else if (pid > 1) /* backends can write it: never a process group, never all, never init */
		kill(pid, SIGURG);
	errno = saved;
}

void
latch_reset(Latch *latch)
{
	atomic_exchange_explicit(&latch->word, 0, memory_order_seq_cst);
}

bool
latch_wait(Latch *latch, int timeout_ms, WaitEvent event)
{
	uint32_t before;

	atomic_store_explicit(&latch->sleeping, 1, memory_order_seq_cst);
	if (atomic_load_explicit(&latch->word, memory_order_seq_cst) == 0 && timeout_ms != 0)
	{
		before = wait_event_begin(event);
		if (atomic_load_explicit(&latch->pid, memory_order_relaxed) == 0)
			sleep_futex(latch, timeout_ms);
		else
			sleep_poll(NULL, 0, timeout_ms);
		wait_event_end(before);
	}
	atomic_store_explicit(&latch->sleeping, 0, memory_order_relaxed);
	return atomic_load_explicit(&latch->word, memory_order_relaxed) != 0;
}

int
latch_wait_socket(Latch *latch, int socket, int wanted, int timeout_ms, WaitEvent event)
{
	struct pollfd descriptor = {.fd = socket};
	uint32_t before;
	int happened = 0;

	if (wanted & WAIT_READABLE)
		descriptor.events |= POLLIN;
	if (wanted & WAIT_WRITABLE)
		descriptor.events |= POLLOUT;

	atomic_store_explicit(&latch->sleeping, 1, memory_order_seq_cst);
	if (atomic_load_explicit(&latch->word, memory_order_seq_cst) != 0)
		timeout_ms = 0; /* the socket is looked at all the same: neither starves the other */
	before = wait_event_begin(event);
	if (sleep_poll(&descriptor, 1, timeout_ms) > 0)
	{
		if (descriptor.revents & (POLLIN | POLLERR | POLLHUP | POLLNVAL))
			happened |= wanted & WAIT_READABLE;
		if (descriptor.revents & (POLLOUT | POLLERR | POLLHUP | POLLNVAL))
			happened |= wanted & WAIT_WRITABLE;
	}
	wait_event_end(before);
	atomic_store_explicit(&latch->sleeping, 0, memory_order_relaxed);
	if (atomic_load_explicit(&latch->word, memory_order_relaxed) != 0)
		happened |= WAIT_LATCH;
	return happened;
}

static bool
sleep_futex(Latch *latch, int timeout_ms)
{
	struct timespec limit = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000L};

	return syscall(SYS_futex, (uint32_t *) &latch->word, FUTEX_WAIT, 0,
				   timeout_ms < 0 ? NULL : &limit, NULL, 0) == 0;
}

/* The mask of this process, with SIGURG let through, only while it sleeps. */
static int
sleep_poll(struct pollfd *descriptors, nfds_t count, int timeout_ms)
{
	static sigset_t mask;
	static bool mask_known;
	struct timespec limit = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000L};

	if (!mask_known)
	{
		sigprocmask(SIG_SETMASK, NULL, &mask);
		sigdelset(&mask, SIGURG);
		mask_known = true;
	}
	return ppoll(descriptors, count, timeout_ms < 0 ? NULL : &limit, &mask);
}
