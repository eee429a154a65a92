-- Give a lease back.
--
-- KEYS[1]   the lease
-- ARGV[1]   token of who took it
-- ARGV[2]   how long it is remembered that an answer was put where others find it (milliseconds); 0 where none was
-- Returns   1; 0 when it was not this one's any more.
--
-- Invariant: only the holder changes a lease; a second time changes nothing.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
if ARGV[2] == '0' then
  return redis.call('DEL', KEYS[1])
end
redis.call('SET', KEYS[1], 'landed', 'PX', ARGV[2])
return 1
