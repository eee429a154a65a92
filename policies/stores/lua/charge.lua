-- Count what was consumed while Redis was out of reach, whatever the caps say.
--
-- KEYS[1]   what remembers that this was done
-- KEYS[2..] the meters
-- ARGV[1]   packed: seven values a meter, see counter.lua
-- ARGV[2]   packed: two values a meter, the bucket under way and the latest bucket of a late clock
-- ARGV[3]   packed: a list a meter of buckets, by the caller's clock, and what was consumed in them, by turns
-- ARGV[4]   milliseconds for which it is remembered
-- Returns   1; 0 when it was done before.
--
-- Invariant: it is done once. What was consumed counts in the bucket where it was, or nowhere when that has left the
-- window; a meter that has another unit or window here is passed over.

if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
local meters, now, consumed = cmsgpack.unpack(ARGV[1]), cmsgpack.unpack(ARGV[2]), cmsgpack.unpack(ARGV[3])
for i = 1, #KEYS - 1 do
  local at, key, parts = (i - 1) * 7, KEYS[i + 1], consumed[i]
  local c = look(key, meters[at + 5], meters[at + 6], now[2 * i - 1], now[2 * i])
  local counts = false
  for j = 1, c and #parts or 0, 2 do
    local bucket, amount = math.min(parts[j] + c.s, c.at), parts[j + 1]
    if bucket >= c.at - c.span then
      counts = true
      c.t = math.min(MOST, c.t + amount)
      c.o, c.n = math.min(c.o or bucket, bucket), math.max(c.n or bucket, bucket)
      redis.call('HINCRBY', key, bucket, amount)
    end
  end
  if counts then
    redis.call('HSET', key, 'w', c.sig, 't', c.t, 'o', c.o, 'n', c.n)
    if meters[at + 7] > 0 then
      redis.call('PEXPIRE', key, meters[at + 7])
    end
  end
end
redis.call('SET', KEYS[1], 1, 'PX', ARGV[4])
return 1
