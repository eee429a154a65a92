-- Keep a key, unless one of its team and name is there and not revoked.
--
-- KEYS[1]   hash of the keys by id
-- KEYS[2]   hash of the names in use, to the id of the key that has them
-- KEYS[3]   number that changes with every change of the keys
-- ARGV[1]   id of the key
-- ARGV[2]   the key, in JSON: an object that has `team`, `name` and `revoked_at`
-- Returns   1; 0 when the name or the id is in use. For a key that is there already, exactly as it is: 1.
--
-- Invariant: as in key.lua.

local known = redis.call('HGET', KEYS[1], ARGV[1])
if known then
  return known == ARGV[2] and 1 or 0
end
local key = cjson.decode(ARGV[2])
if key.revoked_at == cjson.null and redis.call('HSETNX', KEYS[2], name_of(key), ARGV[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
note_change()
return 1
