# Blocking and computing in a task.
weft_test(rescue SERIAL TIMEOUT 300)
weft_test(watchdog)
weft_test(deadlock)
weft_test(mutex_watch)
