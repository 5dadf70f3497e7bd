RUSDCTL_OBJS :=
RUSDCTL_OBJS += src/bin/rusdctl/client.o
RUSDCTL_OBJS += src/bin/rusdctl/cluster.o
RUSDCTL_OBJS += src/bin/rusdctl/kv.o
RUSDCTL_OBJS += src/bin/rusdctl/options.o
RUSDCTL_OBJS += src/bin/rusdctl/output.o
RUSDCTL_OBJS += src/bin/rusdctl/rusdctl.o
RUSDCTL_OBJS += src/bin/rusdctl/txn.o
RUSDCTL_OBJS := $(addprefix $(BUILD)/fe/,$(RUSDCTL_OBJS))

$(BUILD)/rusdctl: $(RUSDCTL_OBJS) $(PROTO_OBJS)
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(TOOL_LIBS)

PROGRAMS += $(BUILD)/rusdctl
