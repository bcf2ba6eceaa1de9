-- wrk ... -s load.lua URL -- METHOD [BODY]
-- The last line of output: requests, their microseconds, p50 and p99 in microseconds, errors.

function init(arguments)
  wrk.method, wrk.body = arguments[1], arguments[2]
end

function done(summary, latency)
  local errors = 0
  for _, count in pairs(summary.errors) do
    errors = errors + count
  end
  print(summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors)
end
