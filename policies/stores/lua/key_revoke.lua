-- Mark a key as revoked, once, and free its name.
--
-- KEYS[1]   hash of the keys by id
-- KEYS[2]   hash of the names in use, to the id of the key that has them
-- KEYS[3]   number that changes with every change of the keys
-- KEYS[4]   hash of the moments of revocation by id of the key
-- ARGV[1]   id of the key
-- ARGV[2]   the moment, seconds since the epoch as text
-- Returns   1; 0 when there is no key of that id or it is revoked already.
--
-- Invariant: as in key.lua.

local known = redis.call('HGET', KEYS[1], ARGV[1])
if not known then
  return 0
end
local key = cjson.decode(known)
if key.revoked_at ~= cjson.null or redis.call('HSETNX', KEYS[4], ARGV[1], ARGV[2]) == 0 then
  return 0
end
redis.call('HDEL', KEYS[2], name_of(key))
note_change()
return 1
