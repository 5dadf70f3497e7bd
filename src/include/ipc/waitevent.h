/*
 * waitevent.h
 *	  Wait events, made from waiteventlist.h.
 *
 * src/include/ipc/waitevent.h
 */
#ifndef IPC_WAITEVENT_H
#define IPC_WAITEVENT_H

typedef enum WaitEvent
{
#define RUSD_WAIT(symbol, name, sentence) WAIT_EVENT_##symbol,
#include "ipc/waiteventlist.h"
#undef RUSD_WAIT
	WAIT_EVENT_COUNT
} WaitEvent;

/* Any process; "unknown" for a number out of range. */
extern const char *wait_event_name(uint32_t event);
/* The sentence of the list, for documents and views. */
extern const char *wait_event_sentence(uint32_t event);

/*
 * Any process, around a call that may block (latch_wait does it itself): shows the event,
 * and since when, in the process's own area; does nothing in a process without one.
 * wait_event_begin returns what was shown before, which wait_event_end puts back, so that
 * they nest.
 */
extern uint32_t wait_event_begin(WaitEvent event);
extern void wait_event_end(uint32_t before);

#endif /* IPC_WAITEVENT_H */
