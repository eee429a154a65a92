-- What the verbs on records share; it is put in front of each of them. They also touch records that KEYS does not name,
-- all of the same slot.
--
-- KEYS[1]   sorted set of the ids by when they expire (seconds since the epoch)
-- KEYS[2]   sorted set of the ids by the order in which they were put
-- KEYS[3]   hash of the bytes each takes, by id
-- KEYS[4]   hash: `bytes` all take together, `last` number in the order
-- ARGV[1]   what the key of a record begins with
--
-- Invariant: an id stands in all three of them or in none, and `bytes` is the sum. A record may have vanished before its
-- id: Redis drops it by itself when it expires, its id goes with the next sweep.

local function drop(id)
  local size = redis.call('HGET', KEYS[3], id)
  if not size then
    return
  end
  redis.call('HDEL', KEYS[3], id)
  redis.call('ZREM', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
  redis.call('HINCRBY', KEYS[4], 'bytes', -size)
  redis.call('DEL', ARGV[1] .. id)
end

-- Drop some of what has expired by `now`; returns how many.
local function expire(now, most)
  local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, most)
  for _, id in ipairs(ids) do
    drop(id)
  end
  return #ids
end

-- Drop what has expired and then what was put first until all fit the bound, `most` of each at the most; returns the
-- bytes that are left.
local function make_room(now, bound, most)
  local bytes = tonumber(redis.call('HGET', KEYS[4], 'bytes') or 0)
  if bytes > bound then
    expire(now, most)
    bytes = tonumber(redis.call('HGET', KEYS[4], 'bytes'))
  end
  while bytes > bound and most > 0 do
    drop(redis.call('ZRANGE', KEYS[2], 0, 0)[1])
    bytes, most = tonumber(redis.call('HGET', KEYS[4], 'bytes')), most - 1
  end
  return bytes
end
