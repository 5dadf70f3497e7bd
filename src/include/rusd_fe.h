/*
 * rusd_fe.h
 *	  First include of every file of the tools.
 *
 * src/include/rusd_fe.h
 */
#ifndef RUSD_FE_H
#define RUSD_FE_H

#ifndef FRONTEND
#error "rusd_fe.h is for tools"
#endif

#include "c.h"
#include "utils/status.h"

#define RUSD_VERSION_STRING "0.1.0"
#define ETCD_VERSION_STRING "3.7.1"

#endif /* RUSD_FE_H */
