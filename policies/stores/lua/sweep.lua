-- End one hold if its lease is over.
--
-- KEYS[1]   sorted set of the open holds by the end of their lease
-- KEYS[2]   the hold
-- KEYS[3..] its meters, and last the hash of what ended, by id, as long as nobody has said that it is written down
-- ARGV[1]   id of the hold
-- ARGV[2]   digest of the meters' keys
-- ARGV[3]   now, milliseconds since the epoch
-- ARGV[4]   1 to charge it at its ceiling, 0 to give it back
-- Returns   packed: requests, input tokens, output tokens, micro-dollars held; 0 when it is not over or not open; -1 when
--           it has other meters.
--
-- Invariant: a hold ends once, its place among the calls in flight is free either way, and it stands in the last key from
-- then on. After a clock has jumped back, a lease lasts no longer than it was given for.

local ends = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or nil)
if not ends then
  return 0
end
local hold = redis.call('HMGET', KEYS[2], 'b', 'd', 'l')
if not hold[1] then
  redis.call('ZREM', KEYS[1], ARGV[1])
  return 0
end
local now, lease = tonumber(ARGV[3]), tonumber(hold[3])
if ends - now > lease then
  ends = now + lease
  redis.call('ZADD', KEYS[1], ends, ARGV[1])
end
if ends > now then
  return 0
end
local held = cmsgpack.unpack(hold[1])
if held[1] ~= ARGV[2] then
  return -1
end
local demand = cmsgpack.unpack(hold[2])
redis.call('HSET', KEYS[#KEYS], ARGV[1], cmsgpack.pack({now, tonumber(ARGV[4]), demand}))
if ARGV[4] == '1' then
  demand = {0, 0, 0, 0}
end
demand[5] = 1
close(held, demand, -1)
return hold[2]
