# Blocking and computing in a task.
weft_test(rescue SERIAL TIMEOUT 300)
weft_test(watchdog)
weft_test(deadlock)
weft_test(mutex_watch)
target_link_options(test_mutex_watch PRIVATE -Wl,-z,now) # its imports are sealed
