-- A wrk script that looks at every response: it must be a 200 with exactly the body that is expected.
--
--     wrk -s tools/wrk_check.lua URL -- [REQUESTS_PER_BATCH]
--
-- A batch of more than one is pipelined. The last line of the output is for machines: "check" and then
-- NAME=VALUE pairs. A socket error or a response that took longer than wrk's --timeout counts as wrong.
-- Every thread has a Lua state of its own; setup and done run in yet another.

local expected = "Hello, World!"
local threads = {}

seen, wrong, example = 0, 0, ""

function setup(thread)
    table.insert(threads, thread)
end

function init(args)
    -- wrk sends what wrk.format() returns here again and again, without a call into Lua per request.
    local batch = string.rep(wrk.format(), tonumber(args[1]) or 1)
    wrk.format = function() return batch end
end

function response(status, headers, body)
    seen = seen + 1
    if status ~= 200 or body ~= expected then
        if wrong == 0 then example = "status " .. status .. ", body " .. string.format("%q", body) end
        wrong = wrong + 1
    end
end

function done(summary, latency, requests)
    local all, bad = 0, 0
    for _, thread in ipairs(threads) do
        all = all + thread:get("seen")
        bad = bad + thread:get("wrong")
        if thread:get("wrong") > 0 then print("wrong response: " .. thread:get("example")) end
    end
    local errors = summary.errors
    bad = bad + errors.connect + errors.read + errors.write + errors.timeout
    print(string.format(
        "check responses=%d wrong=%d connect=%d read=%d write=%d timeout=%d status=%d "
            .. "requests_per_s=%.1f p50_us=%d p99_us=%d",
        all, bad, errors.connect, errors.read, errors.write, errors.timeout, errors.status,
        all * 1e6 / summary.duration, latency:percentile(50), latency:percentile(99)))
end
