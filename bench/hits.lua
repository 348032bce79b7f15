-- What wrk asks for: tracking links in turn, as a browser asks.
--
--     wrk ... -s hits.lua URL -- FILE keep-alive|one-shot
--
-- FILE holds one path a line.  Every request is written once, before the clock runs.  At the end one
-- line of JSON tells what was answered; bench/http_load.py reads it.

local fields = {
  ["Host"] = "track.kontor.example",
  ["User-Agent"] = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 "
    .. "(KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
  ["Accept"] = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
  ["Accept-Encoding"] = "gzip, deflate, br, zstd",
  ["Accept-Language"] = "de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7",
}
local requests, last = {}, 0

function init(arguments)
  if arguments[2] == "one-shot" then
    fields["Connection"] = "close"
  end
  for path in io.lines(arguments[1]) do
    requests[#requests + 1] = wrk.format("GET", path, fields)
  end
end

function request()
  last = last % #requests + 1
  return requests[last]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "microseconds": %d, "connect": %d, "read": %d, "write": %d, '
      .. '"status": %d, "timeout": %d, "p50": %d, "p99": %d}\n',
    summary.requests, summary.duration, errors.connect, errors.read, errors.write,
    errors.status, errors.timeout, latency:percentile(50), latency:percentile(99)
  ))
end
