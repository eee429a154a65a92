-- Say that a replica lives, and count those that do. The time is Redis's own: replicas' clocks may differ by more than
-- the seconds after which one is taken for gone.
--
-- KEYS[1]   sorted set of the replicas by when they were last heard, milliseconds since the epoch
-- KEYS[2]   text that is made once and stays as long as Redis keeps what it knows
-- ARGV[1]   name of the replica
-- ARGV[2]   milliseconds after which a replica that is not heard is taken for gone
-- ARGV[3]   what KEYS[2] becomes where it is not there
-- Returns   how many replicas live, and KEYS[2].
--
-- Invariant: nobody stands in the set who was not heard within ARGV[2], also after the clock has jumped back.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now), '+inf')
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('SETNX', KEYS[2], ARGV[3])
return {redis.call('ZCARD', KEYS[1]), redis.call('GET', KEYS[2])}
