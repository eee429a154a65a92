-- Forget a record.
--
-- KEYS, ARGV[1] as in record.lua
-- ARGV[2]   now, seconds since the epoch
-- ARGV[3]   id
-- Returns   1; 0 when there is none of that id that has not expired.
--
-- Invariant: nothing of that id is left.

local ends = redis.call('ZSCORE', KEYS[1], ARGV[3])
local is_there = redis.call('EXISTS', ARGV[1] .. ARGV[3])
drop(ARGV[3])
return ends and tonumber(ends) > tonumber(ARGV[2]) and is_there or 0
