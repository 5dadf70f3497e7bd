# Copy-on-write B+trees over pages.
SERVER_OBJS += src/backend/btree/treecheck.o
SERVER_OBJS += src/backend/btree/treechain.o
SERVER_OBJS += src/backend/btree/treecursor.o
SERVER_OBJS += src/backend/btree/treemove.o
SERVER_OBJS += src/backend/btree/treepage.o
SERVER_OBJS += src/backend/btree/treepath.o
SERVER_OBJS += src/backend/btree/treesearch.o
SERVER_OBJS += src/backend/btree/treesum.o
SERVER_OBJS += src/backend/btree/treewalk.o
SERVER_OBJS += src/backend/btree/treewrite.o
