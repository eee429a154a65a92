-- Keep a record in place of any of its id, and make room: what has expired goes first, then what was put first.
--
-- KEYS, ARGV[1] as in record.lua
-- ARGV[2]   now, seconds since the epoch
-- ARGV[3]   the bound on the bytes of all records
-- ARGV[4]   how many records may be dropped in this step
-- ARGV[5]   id
-- ARGV[6]   the record, packed
-- ARGV[7]   bytes it takes, no more than the bound
-- ARGV[8]   when it expires, seconds since the epoch; `inf` for never
-- ARGV[9]   milliseconds until then, > 0; 0 for never
-- Returns   bytes of all records; above the bound only when more would have had to be dropped.
--
-- Invariant: the record itself stays.

local id = ARGV[5]
drop(id)
if ARGV[9] == '0' then
  redis.call('SET', ARGV[1] .. id, ARGV[6])
else
  redis.call('SET', ARGV[1] .. id, ARGV[6], 'PX', ARGV[9])
end
redis.call('ZADD', KEYS[1], ARGV[8], id)
redis.call('ZADD', KEYS[2], redis.call('HINCRBY', KEYS[4], 'last', 1), id)
redis.call('HSET', KEYS[3], id, ARGV[7])
redis.call('HINCRBY', KEYS[4], 'bytes', ARGV[7])
return make_room(ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]))
