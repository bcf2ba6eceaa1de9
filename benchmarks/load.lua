-- wrk ... -s load.lua URL -- METHOD [BODY]; METHOD may be VARY: a GET whose query is another each time.
-- The last line of output: requests, their microseconds, p50 and p99 in microseconds, errors.

local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

function init(arguments)
  wrk.method, wrk.body = arguments[1], arguments[2]
  if arguments[1] == "VARY" then
    local count = number * 1000000 + math.random(1000)
    request = function()
      count = count + 1
      local limit = 100 + count % 900
      local day = string.format("%04d-%02d-%02d", 2000 + count % 7919, 1 + count % 12, 1 + count % 28)
      return wrk.format("GET", wrk.path .. "?limit=" .. limit .. "&due_before=" .. day .. "&sort=due")
    end
  end
end

function done(summary, latency)
  local errors = 0
  for _, count in pairs(summary.errors) do
    errors = errors + count
  end
  print(summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors)
end
