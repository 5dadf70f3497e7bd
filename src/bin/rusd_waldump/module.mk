WALDUMP_OBJS :=
WALDUMP_OBJS += src/bin/common/jsontext.o
WALDUMP_OBJS += src/bin/rusd_waldump/print.o
WALDUMP_OBJS += src/bin/rusd_waldump/walk.o
WALDUMP_OBJS += src/bin/rusd_waldump/waldump.o
WALDUMP_OBJS := $(addprefix $(BUILD)/fe/,$(WALDUMP_OBJS))

$(BUILD)/rusd_waldump: $(WALDUMP_OBJS) $(BUILD)/librusd_fe.a
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(TOOL_LIBS)

PROGRAMS += $(BUILD)/rusd_waldump
