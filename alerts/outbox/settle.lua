-- Marks alerts as ended that are known, from elsewhere, to have been.
-- KEYS  queue jobs state leases done dead
-- ARGV  when the terminal markers expire (ms), then the ids
local queue, jobs, state, leases, done, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
for i = 2, #ARGV do
  local id = ARGV[i]
  if not redis.call('ZSCORE', dead, id) then
    redis.call('ZADD', done, 'GT', ARGV[1], id)
  end
  redis.call('ZREM', queue, id)
  redis.call('ZREM', leases, id)
  redis.call('HDEL', jobs, id)
  redis.call('HDEL', state, id)
end
return redis.status_reply('OK')
