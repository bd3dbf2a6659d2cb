-- Ends a lease, and notes the outcome in the same step.
-- KEYS  queue jobs state leases done dead dead_jobs outcomes outcome_times
-- ARGV  id, token, 'done' | 'dead' | 'retry', time (ms: when the terminal marker expires, or the next attempt),
--       failures to add, now (ms), id of the outcome, outcome
-- Gives 1, or 0 where the token is no longer the one that holds the alert; then nothing has changed.
local queue, jobs, state, leases, done, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local dead_jobs, outcomes, outcome_times = KEYS[7], KEYS[8], KEYS[9]
local id, token, ending, time, failed, now = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local current = redis.call('HGET', state, id)
if not current then return 0 end
local since, attempt, failures, holder = string.match(current, '^(%d+) (%d+) (%d+) (%d+)$')
if holder ~= token then return 0 end

redis.call('ZREM', leases, id)
if ending == 'retry' then
  redis.call('ZADD', queue, time, id)
  redis.call('HSET', state, id, string.format('%s %s %d 0', since, attempt, failures + failed))
else
  if ending == 'dead' then
    redis.call('HSET', dead_jobs, id, redis.call('HGET', jobs, id))
    redis.call('ZADD', dead, time, id)
  else
    redis.call('ZADD', done, time, id)
  end
  redis.call('ZREM', queue, id)
  redis.call('HDEL', jobs, id)
  redis.call('HDEL', state, id)
end
redis.call('HSET', outcomes, ARGV[7], ARGV[8])
redis.call('ZADD', outcome_times, now, ARGV[7])

-- Expired markers go a few at a time, so that no call is slow.
for _, old in ipairs(redis.call('ZRANGEBYSCORE', done, '-inf', now, 'LIMIT', 0, 20)) do
  redis.call('ZREM', done, old)
end
for _, old in ipairs(redis.call('ZRANGEBYSCORE', dead, '-inf', now, 'LIMIT', 0, 20)) do
  redis.call('ZREM', dead, old)
  redis.call('HDEL', dead_jobs, old)
end
return 1
