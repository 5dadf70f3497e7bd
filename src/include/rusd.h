/*
 * rusd.h
 *	  First include of every server file.
 *
 * src/include/rusd.h
 */
#ifndef RUSD_H
#define RUSD_H

#include "c.h"
#include "utils/status.h"

#define RUSD_VERSION_STRING "0.1.0"
/* What clients are told: they decide by it what they may ask for (CLIENT-30). */
#define ETCD_VERSION_STRING "3.7.1"
#define ETCD_CLUSTER_VERSION_STRING "3.7.0"

#endif /* RUSD_H */
