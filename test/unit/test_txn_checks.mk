UNIT_TESTS += test_txn_checks
