-- Begin to answer a request that has an idempotency key, or learn what has become of it.
--
-- KEYS[1]   hash: `digest` of the request, `token` of the attempt that answers it, `record` once it is answered
-- ARGV[1]   digest of the request
-- ARGV[2]   token of this attempt
-- ARGV[3]   how long the key waits for this attempt (milliseconds, > 0)
-- Returns   {1}: this attempt answers it; {2}: another one does; {3, record}: it was answered; {0}: another request has
--           the key.
--
-- Invariant: a key belongs to one request until it ends, and one attempt answers it at a time.

local known = redis.call('HMGET', KEYS[1], 'digest', 'token', 'record')
if not known[1] then
  redis.call('HSET', KEYS[1], 'digest', ARGV[1], 'token', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {1}
end
if known[1] ~= ARGV[1] then
  return {0}
end
if known[3] then
  return {3, known[3]}
end
return {known[2] == ARGV[2] and 1 or 2}
