-- Close a hold of which nothing was consumed.
--
-- KEYS[1]   sorted set of the open holds by the end of their lease
-- KEYS[2]   the hold
-- KEYS[3..] its meters
-- ARGV[1]   id of the hold
-- ARGV[2]   digest of the meters' keys
-- ARGV[3]   empty, or the token of the one attempt to reserve that is taken back: its answer never reached anybody
-- ARGV[4]   milliseconds for which that attempt is remembered if it has not arrived yet
-- Returns   1; 0 when no such hold is open; -1 when it has other meters.
--
-- Invariant: an attempt taken back holds nothing, whichever of the two commands arrives first.

local hold = redis.call('HMGET', KEYS[2], 'b', 'd', 'v')
if ARGV[3] ~= '' and not hold[1] then
  redis.call('HSET', KEYS[2], 'v', ARGV[3])
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
  return 0
end
if not hold[1] or (ARGV[3] ~= '' and ARGV[3] ~= hold[3]) then
  return 0
end
local held = cmsgpack.unpack(hold[1])
if held[1] ~= ARGV[2] then
  return -1
end
local demand = cmsgpack.unpack(hold[2])
demand[5] = 1
close(held, demand, -1)
return 1
