-- What wrk sends, from its arguments (after --): METHOD [BODY [key]]; and what it measured, as one line of JSON.
local sent = 0
local with_key = false

function init(arguments)
  wrk.method = arguments[1] or "GET"
  wrk.body = arguments[2]
  wrk.headers["Content-Type"] = wrk.body and "application/json"
  with_key = arguments[3] == "key"
  math.randomseed(os.time())
  prefix = string.format("%d-%d-", os.time(), math.random(1e9))
end

function request()
  if with_key then
    sent = sent + 1
    wrk.headers["Idempotency-Key"] = prefix .. sent
  end
  return wrk.format()
end

function done(summary, latency, requests)
  io.write(string.format(
    'RESULT {"requests": %d, "seconds": %.3f, "p50_ms": %.2f, "p99_ms": %.2f, "not_2xx": %d, "broken": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
