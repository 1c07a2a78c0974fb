weft_test(smoke)
