SERVER_OBJS += src/backend/postmaster/child.o
SERVER_OBJS += src/backend/postmaster/datadir.o
SERVER_OBJS += src/backend/postmaster/handshakes.o
SERVER_OBJS += src/backend/postmaster/listen.o
SERVER_OBJS += src/backend/postmaster/postmaster.o
SERVER_OBJS += src/backend/postmaster/sizing.o
SERVER_OBJS += src/backend/postmaster/startup.o
SERVER_OBJS += src/backend/postmaster/links.o
