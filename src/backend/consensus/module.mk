SERVER_OBJS += src/backend/consensus/consensus.o
SERVER_OBJS += src/backend/consensus/intake.o
SERVER_OBJS += src/backend/consensus/judge.o
SERVER_OBJS += src/backend/consensus/append.o
SERVER_OBJS += src/backend/consensus/raftmain.o
SERVER_OBJS += src/backend/consensus/publication.o
