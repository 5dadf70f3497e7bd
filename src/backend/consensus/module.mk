SERVER_OBJS += $(addprefix src/backend/consensus/, consensus.o tell.o intake.o judge.o append.o inbox.o outbox.o)
SERVER_OBJS += $(addprefix src/backend/consensus/, forward.o requests.o handover.o reads.o takeover.o own.o health.o peers.o peerframe.o carrier.o raftmain.o publication.o)
