-- What the verbs on cached answers share; it is put in front of each of them. They also touch entries that KEYS does not
-- name, all of the same slot.
--
-- KEYS[1]   sorted set of the ids by when they expire (seconds since the epoch)
-- KEYS[2]   sorted set of the ids by when they were last used (a counter)
-- KEYS[3]   hash of what is known of each, by id: its bytes, then a space, then its labels, packed by the gateway
-- KEYS[4]   hash: `bytes` all take together, `last` number of the counter
-- ARGV[1]   what the key of an entry begins with
--
-- Invariant: an id stands in the first three or in none, and `bytes` is the sum. An entry may have vanished before its
-- id: Redis drops it by itself when it expires, its id goes when room is made or it is asked for.

local function drop(id)
  local known = redis.call('HGET', KEYS[3], id)
  if not known then
    return 0
  end
  redis.call('HDEL', KEYS[3], id)
  redis.call('ZREM', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
  redis.call('HINCRBY', KEYS[4], 'bytes', -tonumber(string.match(known, '^%d+')))
  return redis.call('DEL', ARGV[1] .. id)
end
