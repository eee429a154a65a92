-- Return an answer, which counts as a use of it.
--
-- KEYS, ARGV[1] as in entry.lua
-- ARGV[2]   id
-- Returns   the entry, packed; nothing where there is none.
--
-- Invariant: nothing is left of an id whose entry Redis has dropped.

local packed = redis.call('GET', ARGV[1] .. ARGV[2])
if packed then
  redis.call('ZADD', KEYS[2], 'XX', redis.call('HINCRBY', KEYS[4], 'last', 1), ARGV[2])
else
  drop(ARGV[2])
end
return packed
