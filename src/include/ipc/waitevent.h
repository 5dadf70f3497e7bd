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

#endif							/* IPC_WAITEVENT_H */
