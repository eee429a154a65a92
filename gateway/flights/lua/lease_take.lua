-- Take a lease that nobody holds.
--
-- KEYS[1]   the lease: the token of who holds it, or `landed` for a while after it was given back with an answer
-- ARGV[1]   token of this attempt
-- ARGV[2]   how long it lasts (milliseconds, > 0)
-- Returns   1 when it is this attempt's; 2 when it is and another one has landed a moment ago; 0 when another has it.
--
-- Invariant: a lease has one holder, and ends by itself.

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= 'landed' and holder ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return holder == 'landed' and 2 or 1
