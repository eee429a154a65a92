-- Keep an answer in place of any of its id, and make room: what has expired goes first, then what was not used for
-- longest.
--
-- KEYS, ARGV[1] as in entry.lua
-- ARGV[2]   id
-- ARGV[3]   now, seconds since the epoch
-- ARGV[4]   the bound on the bytes of all entries
-- ARGV[5]   how many entries may be dropped in this step
-- ARGV[6]   the entry, packed; empty to make room only
-- ARGV[7]   bytes it takes, no more than the bound
-- ARGV[8]   its labels, packed
-- ARGV[9]   when it expires, seconds since the epoch; `inf` for never
-- ARGV[10]  milliseconds until then, > 0; 0 for never
-- Returns   bytes of all entries; above the bound only when more would have had to be dropped.
--
-- Invariant: the entry itself stays.

local id = ARGV[2]
if ARGV[6] ~= '' then
  drop(id)
  if ARGV[10] == '0' then
    redis.call('SET', ARGV[1] .. id, ARGV[6])
  else
    redis.call('SET', ARGV[1] .. id, ARGV[6], 'PX', ARGV[10])
  end
  redis.call('ZADD', KEYS[1], ARGV[9], id)
  redis.call('ZADD', KEYS[2], redis.call('HINCRBY', KEYS[4], 'last', 1), id)
  redis.call('HSET', KEYS[3], id, ARGV[7] .. ' ' .. ARGV[8])
  redis.call('HINCRBY', KEYS[4], 'bytes', ARGV[7])
end

local bound, most = tonumber(ARGV[4]), tonumber(ARGV[5])
local bytes = tonumber(redis.call('HGET', KEYS[4], 'bytes') or 0)
if bytes > bound then
  local ended = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[3], 'LIMIT', 0, most)
  for _, one in ipairs(ended) do
    drop(one)
  end
  most = most - #ended
  bytes = tonumber(redis.call('HGET', KEYS[4], 'bytes'))
end
while bytes > bound and most > 0 do
  drop(redis.call('ZRANGE', KEYS[2], 0, 0)[1])
  bytes, most = tonumber(redis.call('HGET', KEYS[4], 'bytes')), most - 1
end
return bytes
