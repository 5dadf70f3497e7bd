UNIT_TESTS += test_metrics
