-- Make a lease last longer.
--
-- KEYS[1]   the lease
-- ARGV[1]   token of who took it
-- ARGV[2]   how long it lasts from now (milliseconds, > 0)
-- Returns   1; 0 when it is not this one's any more.
--
-- Invariant: only the holder changes a lease.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
