-- Requests like those of a page, a terminal and a reporter, in turn: tasks, lists with and without ETag, changes.
-- wrk calls request() for each request of each connection. delay() is the pause before it and sets the rate.

local tasks = 40
local counter = 0
local validator = nil

function setup(thread)
  thread:set("pause", tonumber(os.getenv("SOAK_PAUSE_MS") or "40"))
end

function delay()
  return math.random(pause, 2 * pause)
end

function request()
  counter = counter + 1
  local turn = counter % 10
  local task = "/api/tasks/soak-" .. math.random(1, tasks)
  if turn < 4 then
    return wrk.format("GET", task)
  elseif turn < 6 then
    return wrk.format("GET", "/api/tasks?limit=20", { ["If-None-Match"] = validator })
  elseif turn == 6 then
    return wrk.format("GET", "/api/tasks?status=running&limit=50", { ["Accept-Encoding"] = "gzip" })
  elseif turn == 7 then
    return wrk.format("GET", task .. "/history?limit=20")
  elseif turn == 8 then
    return wrk.format("GET", "/api/projects")
  end
  local body = string.format('{"message":"%d","progress":{"current":%d,"total":1000000}}', counter, counter)
  return wrk.format("PATCH", task, { ["Content-Type"] = "application/json" }, body)
end

function response(status, headers, body)
  validator = headers["etag"] or headers["ETag"] or validator
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"refused":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"p50_ms":%.1f,"p99_ms":%.1f}\n',
    summary.requests, errors.status, errors.connect, errors.read, errors.write, errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
