-- Ends the lease of a message, and notes the outcomes of its alerts in the same step.
-- KEYS  queue jobs state leases done dead dead_jobs outcomes outcome_times members message_of pauses
-- ARGV  message, token, when terminal markers expire (ms), the next attempt (ms), failures to add, now (ms), then of each
--       alert: its id, 'done' | 'dead' | 'retry', id of the outcome, outcome
-- Gives 1, or 0 where the token is no longer the one that holds the message; then nothing has changed.
local queue, jobs, state, leases, done, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local dead_jobs, outcomes, outcome_times = KEYS[7], KEYS[8], KEYS[9]
local members, message_of, pauses = KEYS[10], KEYS[11], KEYS[12]
local message, token, expires, due, failed, now = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local current = redis.call('HGET', state, message)
if not current then return 0 end
local since, attempt, failures, holder = string.match(current, '^(%d+) (%d+) (%d+) (%d+)$')
if holder ~= token then return 0 end

local left = {}
for i = 7, #ARGV, 4 do
  local id, ending = ARGV[i], ARGV[i + 1]
  local payload = redis.call('HGET', jobs, id)  -- none, if it has been settled meanwhile
  redis.call('ZREM', leases, id)
  if payload and ending == 'retry' then
    left[#left + 1] = id
  elseif payload then
    if ending == 'dead' then
      redis.call('HSET', dead_jobs, id, payload)
      redis.call('ZADD', dead, expires, id)
    else
      redis.call('ZADD', done, expires, id)
    end
    redis.call('HDEL', jobs, id)
    redis.call('HDEL', message_of, id)
  end
  redis.call('HSET', outcomes, ARGV[i + 2], ARGV[i + 3])
  redis.call('ZADD', outcome_times, now, ARGV[i + 2])
end
if #left > 0 then
  redis.call('ZADD', queue, due, message)
  redis.call('HSET', state, message, string.format('%s %s %d 0', since, attempt, failures + failed))
  if redis.call('HEXISTS', members, message) == 1 then
    redis.call('HSET', members, message, table.concat(left, '\n'))
  end
else
  redis.call('ZREM', queue, message)
  redis.call('HDEL', state, message)
  redis.call('HDEL', members, message)
end

-- Expired markers go a few at a time, so that no call is slow.
for _, old in ipairs(redis.call('ZRANGEBYSCORE', done, '-inf', now, 'LIMIT', 0, 20)) do
  redis.call('ZREM', done, old)
end
for _, old in ipairs(redis.call('ZRANGEBYSCORE', dead, '-inf', now, 'LIMIT', 0, 20)) do
  redis.call('ZREM', dead, old)
  redis.call('HDEL', dead_jobs, old)
end
for _, old in ipairs(redis.call('ZRANGEBYSCORE', pauses, '-inf', now, 'LIMIT', 0, 20)) do
  redis.call('ZREM', pauses, old)
end
return 1
