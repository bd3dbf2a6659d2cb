-- Leases the messages that are due, the longest due first. What a message has is settled by its first lease.
-- KEYS  queue jobs state leases tokens open groups members message_of pauses
-- ARGV  now (ms), end of the lease (ms), limit, the most alerts of a message
-- Gives of each message: id, since (ms), attempt, failures, token, the number of its alerts, and their payloads.
local queue, jobs, state, leases, tokens = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local open, groups, members, message_of, pauses = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local now, ends, limit, most = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local function ids_of(message)
  local collected = redis.call('HGET', members, message)
  if not collected then return {message} end
  local ids = {}
  for id in string.gmatch(collected, '[^\n]+') do ids[#ids + 1] = id end
  return ids
end

-- A group's message goes: what comes now is for the next one, after the interval.
local function close(message)
  local group = redis.call('HGET', groups, message)
  if not group then return end
  local interval, key = string.match(group, '^(%d+) (.*)$')
  redis.call('HDEL', groups, message)
  if redis.call('HGET', open, key) == message then redis.call('HDEL', open, key) end
  if tonumber(interval) > 0 then redis.call('ZADD', pauses, now + tonumber(interval), key) end
end

-- What is more than a message takes becomes messages of their own, in its place in the queue.
local function split(message, ids, since)
  if #ids <= most then return ids end
  local due = tonumber(redis.call('ZSCORE', queue, message))
  for first = most + 1, #ids, most do
    local part = {unpack(ids, first, math.min(first + most - 1, #ids))}
    local other = 'g:' .. part[1]
    redis.call('ZADD', queue, string.format('%.4f', due - (#ids - first + 1) / 1024), other)
    redis.call('HSET', state, other, since .. ' 0 0 0')
    redis.call('HSET', members, other, table.concat(part, '\n'))
    for _, id in ipairs(part) do redis.call('HSET', message_of, id, other) end
  end
  local kept = {unpack(ids, 1, most)}
  redis.call('HSET', members, message, table.concat(kept, '\n'))
  return kept
end

local leased = {}
for _ = 1, limit do
  local message = redis.call('ZRANGEBYSCORE', queue, '-inf', now, 'LIMIT', 0, 1)[1]
  if not message then break end
  local since, attempt, failures = string.match(redis.call('HGET', state, message), '^(%d+) (%d+) (%d+)')
  close(message)
  local ids = split(message, ids_of(message), since)
  local token = redis.call('INCR', tokens)
  attempt = tonumber(attempt) + 1
  redis.call('HSET', state, message, string.format('%s %d %s %.0f', since, attempt, failures, token))
  redis.call('ZADD', queue, ends, message)
  for _, value in ipairs({message, since, attempt, failures, token, #ids}) do leased[#leased + 1] = value end
  for _, id in ipairs(ids) do
    redis.call('ZADD', leases, ends, id)
    leased[#leased + 1] = redis.call('HGET', jobs, id)
  end
end
return leased
