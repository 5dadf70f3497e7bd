/* stub: the config module's author fills this */
RUSD_PARAM_TEXT(name, "name", "default", "Name of this member.")
