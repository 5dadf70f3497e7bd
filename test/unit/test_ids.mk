UNIT_TESTS += test_ids
