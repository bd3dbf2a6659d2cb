-- Leases the alerts that are due, the longest due first.
-- KEYS  queue jobs state leases tokens
-- ARGV  now (ms), end of the lease (ms), limit
-- Gives of each alert: payload, since (ms), attempt, failures, token.
local queue, jobs, state, leases, tokens = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local now, ends, limit = ARGV[1], ARGV[2], ARGV[3]

local leased = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', queue, '-inf', now, 'LIMIT', 0, limit)) do
  local since, attempt, failures = string.match(redis.call('HGET', state, id), '^(%d+) (%d+) (%d+)')
  local token = redis.call('INCR', tokens)
  attempt = tonumber(attempt) + 1
  redis.call('HSET', state, id, string.format('%s %d %s %.0f', since, attempt, failures, token))
  redis.call('ZADD', queue, ends, id)
  redis.call('ZADD', leases, ends, id)
  for _, value in ipairs({redis.call('HGET', jobs, id), since, attempt, failures, token}) do
    leased[#leased + 1] = value
  end
end
return leased
