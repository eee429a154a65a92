-- Keep the answer to a request.
--
-- KEYS[1]   hash, see once_begin.lua
-- ARGV[1]   digest of the request
-- ARGV[2]   the answer, packed
-- ARGV[3]   how long it is kept (milliseconds, > 0)
-- Returns   1; 0 when it was answered before, or the key is another request's by now.
--
-- Invariant: the first answer stays; a second time changes nothing.

local known = redis.call('HMGET', KEYS[1], 'digest', 'record')
if known[2] or (known[1] and known[1] ~= ARGV[1]) then
  return 0
end
redis.call('HSET', KEYS[1], 'digest', ARGV[1], 'record', ARGV[2])
redis.call('HDEL', KEYS[1], 'token')
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
