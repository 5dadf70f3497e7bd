SERVER_OBJS += $(addprefix src/backend/peer/, sender.o accept.o held.o entries.o hello.o dial.o standing.o wire.o serve.o fetch.o)
