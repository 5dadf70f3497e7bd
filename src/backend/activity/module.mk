SERVER_OBJS += src/backend/activity/metrics.o
SERVER_OBJS += src/backend/activity/procinfo.o
