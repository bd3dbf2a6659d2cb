-- Puts alerts into a channel's queue, unless they are there already or have come to their end.
-- KEYS  queue jobs state done dead tokens
-- ARGV  now (ms), how many alerts follow in other calls, then of each alert: its id, its payload
-- Gives the number of alerts that were new.
local queue, jobs, state, done, dead, tokens = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local now, following = tonumber(ARGV[1]), tonumber(ARGV[2])

local function ended(id)
  local expires = redis.call('ZSCORE', done, id) or redis.call('ZSCORE', dead, id)
  return expires and tonumber(expires) > now
end

-- Tokens begin at the clock, so that none returns after Redis lost its data. This is also a write that always
-- happens: WAITAOF waits for writes of its own connection, and the alerts may be here through another one.
redis.call('SET', tokens, ARGV[1], 'NX')
redis.call('INCR', tokens)

local count = (#ARGV - 2) / 2
local added = 0
for i = 1, count do
  local id, payload = ARGV[2 * i + 1], ARGV[2 * i + 2]
  if not ended(id) and not redis.call('ZSCORE', queue, id) then
    -- A fraction of a millisecond a piece keeps alerts in their order; before now, so that all are due at once.
    redis.call('ZADD', queue, string.format('%.4f', now - (count - i + following) / 1024), id)
    redis.call('HSET', jobs, id, payload)
    redis.call('HSET', state, id, string.format('%d 0 0 0', now))
    added = added + 1
  end
end
return added
