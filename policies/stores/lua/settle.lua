-- Replace what a hold holds by what was consumed, in the buckets where it was reserved, and close it.
--
-- KEYS[1]   sorted set of the open holds by the end of their lease
-- KEYS[2]   the hold
-- KEYS[3..] its meters
-- ARGV[1]   id of the hold
-- ARGV[2]   digest of the meters' keys
-- ARGV[3]   packed: requests, input tokens, output tokens, micro-dollars consumed
-- Returns   packed: what was held, in the same form; 0 when no such hold is open; -1 when it has other meters.
--
-- Invariant: a hold is closed once; a bucket that has left its window is not touched.

local hold = redis.call('HMGET', KEYS[2], 'b', 'd')
if not hold[1] then
  return 0
end
local held = cmsgpack.unpack(hold[1])
if held[1] ~= ARGV[2] then
  return -1
end
local demand, actual = cmsgpack.unpack(hold[2]), cmsgpack.unpack(ARGV[3])
for unit = 1, 4 do
  actual[unit] = actual[unit] - demand[unit]
end
actual[5] = -1
close(held, actual, 1)
return hold[2]
