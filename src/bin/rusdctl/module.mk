RUSDCTL_OBJS :=
RUSDCTL_OBJS += src/bin/common/jsontext.o
RUSDCTL_OBJS += src/bin/rusdctl/calls.o
RUSDCTL_OBJS += src/bin/rusdctl/client.o
RUSDCTL_OBJS += src/bin/rusdctl/completion.o
RUSDCTL_OBJS += src/bin/rusdctl/connect.o
RUSDCTL_OBJS += src/bin/rusdctl/discovery.o
RUSDCTL_OBJS += src/bin/rusdctl/endpoint.o
RUSDCTL_OBJS += src/bin/rusdctl/globals.o
RUSDCTL_OBJS += src/bin/rusdctl/help.o
RUSDCTL_OBJS += src/bin/rusdctl/json.o
RUSDCTL_OBJS += src/bin/rusdctl/kv.o
RUSDCTL_OBJS += src/bin/rusdctl/maintenance.o
RUSDCTL_OBJS += src/bin/rusdctl/member.o
RUSDCTL_OBJS += src/bin/rusdctl/methods.o
RUSDCTL_OBJS += src/bin/rusdctl/options.o
RUSDCTL_OBJS += src/bin/rusdctl/output.o
RUSDCTL_OBJS += src/bin/rusdctl/rusdctl.o
RUSDCTL_OBJS += src/bin/rusdctl/status.o
RUSDCTL_OBJS += src/bin/rusdctl/table.o
RUSDCTL_OBJS += src/bin/rusdctl/txn.o
RUSDCTL_OBJS := $(addprefix $(BUILD)/fe/,$(RUSDCTL_OBJS))

$(BUILD)/rusdctl: $(RUSDCTL_OBJS) $(BUILD)/librusd_fe.a
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(TOOL_LIBS) $(CRYPTO_LIBS)

PROGRAMS += $(BUILD)/rusdctl
