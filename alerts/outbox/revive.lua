-- Puts dead alerts back into the queue, as if they were new, and notes it as an outcome in the same step.
-- KEYS  queue jobs state dead dead_jobs tokens outcomes outcome_times
-- ARGV  now (ms), then of each alert: its id, the id of the outcome, the outcome
-- Gives the number of alerts that were dead, and are queued now.
local queue, jobs, state, dead, dead_jobs, tokens = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local outcomes, outcome_times = KEYS[7], KEYS[8]
local now = tonumber(ARGV[1])

redis.call('SET', tokens, ARGV[1], 'NX')
local revived = 0
for i = 2, #ARGV, 3 do
  local id = ARGV[i]
  local payload = redis.call('HGET', dead_jobs, id)
  local expires = redis.call('ZSCORE', dead, id)
  if payload and expires and tonumber(expires) > now then
    redis.call('ZREM', dead, id)
    redis.call('HDEL', dead_jobs, id)
    redis.call('ZADD', queue, now, id)
    redis.call('HSET', jobs, id, payload)
    redis.call('HSET', state, id, string.format('%d 0 0 0', now))
    redis.call('HSET', outcomes, ARGV[i + 1], ARGV[i + 2])
    redis.call('ZADD', outcome_times, now, ARGV[i + 1])
    revived = revived + 1
  end
end
return revived
