/* weft/weft.h: all of weft. An asyncio for C that uses every core. */
#ifndef WEFT_WEFT_H
#define WEFT_WEFT_H

#include <weft/base.h>

#include <weft/async.h>
#include <weft/combine.h>
#include <weft/context.h>
#include <weft/debug.h>
#include <weft/executor.h>
#include <weft/future.h>
#include <weft/generator.h>
#include <weft/io.h>
#include <weft/loop.h>
#include <weft/parallel.h>
#include <weft/process_pool.h>
#include <weft/queue.h>
#include <weft/run.h>
#include <weft/signal.h>
#include <weft/sync.h>
#include <weft/task.h>
#include <weft/timed.h>
#include <weft/timeout.h>

#endif
