-- Let a key go, so that its request may be made again.
--
-- KEYS[1]   hash, see once_begin.lua
-- ARGV[1]   token of the attempt that failed
-- Returns   1; 0 when the key is not this attempt's any more.
--
-- Invariant: an answer that was kept stays; a second time changes nothing.

if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
