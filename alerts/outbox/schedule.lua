-- Puts alerts into a channel's queue, unless they are there already or have come to their end.
-- KEYS  queue jobs state done dead tokens open groups members message_of pauses
-- ARGV  now (ms), how many alerts follow in other calls, then of each alert: its id, its payload, and of its group: how
--       long it is collected (ms; -1: it has none), the interval to its next message (ms), its key
-- Gives the number of alerts that were new.
local queue, jobs, state, done, dead, tokens = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local open, groups, members, message_of, pauses = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local now, following = tonumber(ARGV[1]), tonumber(ARGV[2])

-- A message that has so many bytes of ids takes no more.
local FULL = 16384

local function ended(id)
  local expires = redis.call('ZSCORE', done, id) or redis.call('ZSCORE', dead, id)
  return expires and tonumber(expires) > now
end

local function begin(message, due)
  redis.call('ZADD', queue, string.format('%.4f', due), message)
  redis.call('HSET', state, message, string.format('%d 0 0 0', now))
end

-- The same rule as streams.core.grouping.next_message.
local function collect(id, wait, interval, key)
  local message = redis.call('HGET', open, key)
  local collected = message and redis.call('HGET', members, message)
  if collected and #collected < FULL then
    redis.call('HSET', members, message, collected .. '\n' .. id)
  else
    message = 'g:' .. id
    local pause = tonumber(redis.call('ZSCORE', pauses, key) or 0)
    begin(message, now < pause and pause or now + wait)
    redis.call('HSET', members, message, id)
    redis.call('HSET', groups, message, string.format('%d %s', interval, key))
    redis.call('HSET', open, key, message)
  end
  redis.call('HSET', message_of, id, message)
end

-- Tokens begin at the clock, so that none returns after Redis lost its data. This is also a write that always
-- happens: WAITAOF waits for writes of its own connection, and the alerts may be here through another one.
redis.call('SET', tokens, ARGV[1], 'NX')
redis.call('INCR', tokens)

local count = (#ARGV - 2) / 5
local added = 0
for i = 1, count do
  local at = 5 * i - 2
  local id, payload, wait = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  if not ended(id) and redis.call('HEXISTS', jobs, id) == 0 then
    redis.call('HSET', jobs, id, payload)
    if wait >= 0 then
      collect(id, wait, tonumber(ARGV[at + 3]), ARGV[at + 4])
    else
      -- A fraction of a millisecond a piece keeps alerts in their order; before now, so that all are due at once.
      begin(id, now - (count - i + following) / 1024)
    end
    added = added + 1
  end
end
return added
