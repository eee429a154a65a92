-- Have a key wait longer for the attempt that answers it.
--
-- KEYS[1]   hash, see once_begin.lua
-- ARGV[1]   token of the attempt
-- ARGV[2]   how long from now (milliseconds, > 0)
-- Returns   1; 0 when the key is not this attempt's any more.
--
-- Invariant: nothing but the attempt's own time changes.

if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
