-- Let a hold end by itself at another moment.
--
-- KEYS[1]   sorted set of the open holds by the end of their lease
-- KEYS[2]   the hold
-- ARGV[1]   id of the hold
-- ARGV[2]   the new end of the lease, milliseconds since the epoch
-- ARGV[3]   the new lease, milliseconds
-- Returns   1; 0 when no such hold is open.
--
-- Invariant: a hold is open exactly while it stands in the sorted set.

if redis.call('HEXISTS', KEYS[2], 'b') == 0 then
  return 0
end
redis.call('HSET', KEYS[2], 'l', ARGV[3])
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
return 1
