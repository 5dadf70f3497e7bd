SERVER_OBJS += src/backend/consensus/publication.o
