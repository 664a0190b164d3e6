-- Asks with whole requests from a file, separated by NUL, in turn, and tells how it went in one line of JSON: the same
-- bytes that the other load sends.

local requests, turn = {}, 0

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  for request in file:read("*a"):gmatch("%Z+") do
    requests[#requests + 1] = request
  end
  file:close()
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    '\n{"answered":%d,"failed":%d,"seconds":%.6f}\n', summary.requests, failed, summary.duration / 1e6))
end
