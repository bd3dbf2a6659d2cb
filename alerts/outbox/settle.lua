-- Marks alerts as ended that are known, from elsewhere, to have been.
-- KEYS  queue jobs state leases done dead open groups members message_of
-- ARGV  when the terminal markers expire (ms), then the ids
local queue, jobs, state, leases, done, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local open, groups, members, message_of = KEYS[7], KEYS[8], KEYS[9], KEYS[10]

-- What is left of a message once an alert is taken out of it; nothing is left of the message of one alone.
local function without(message, id)
  local left = {}
  for other in string.gmatch(redis.call('HGET', members, message) or '', '[^\n]+') do
    if other ~= id then left[#left + 1] = other end
  end
  return left
end

for i = 2, #ARGV do
  local id = ARGV[i]
  if not redis.call('ZSCORE', dead, id) then
    redis.call('ZADD', done, 'GT', ARGV[1], id)
  end
  local message = redis.call('HGET', message_of, id) or id
  local left = without(message, id)
  if #left > 0 then
    redis.call('HSET', members, message, table.concat(left, '\n'))
  else
    local group = redis.call('HGET', groups, message)
    local key = group and string.match(group, '^%d+ (.*)$')
    if key and redis.call('HGET', open, key) == message then redis.call('HDEL', open, key) end
    redis.call('HDEL', groups, message)
    redis.call('HDEL', members, message)
    redis.call('ZREM', queue, message)
    redis.call('HDEL', state, message)
  end
  redis.call('ZREM', leases, id)
  redis.call('HDEL', jobs, id)
  redis.call('HDEL', message_of, id)
end
return redis.status_reply('OK')
