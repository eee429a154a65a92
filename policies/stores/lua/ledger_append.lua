-- Append a record to the ledger, once.
--
-- KEYS[1]   marker of the record's id
-- KEYS[2]   the stream of records; the milliseconds of an entry's id are never before the record's own moment
-- KEYS[3]   hash: `last` and `seq` are the id of the newest entry, any other field is a day since the epoch and its
--           value by how many milliseconds the latest entry of that day is behind its record's moment
-- ARGV[1]   the record, MessagePack
-- ARGV[2]   its moment, milliseconds since the epoch
-- ARGV[3]   milliseconds for which its id is remembered
-- Returns   1; 0 when a record of that id was appended before.
--
-- Invariant: whoever wants the records of a stretch of time finds them between its beginning and its end plus what
-- the days of that stretch say.

if not redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[3]) then
  return 0
end
local at = tonumber(ARGV[2])
local state = redis.call('HMGET', KEYS[3], 'last', 'seq')
local last, seq = tonumber(state[1]) or -1, 0
if at <= last then
  seq = tonumber(state[2]) + 1
  if at < last then
    local day, late = string.format('%.0f', math.floor(at / 86400000)), last - at
    if late > (tonumber(redis.call('HGET', KEYS[3], day)) or 0) then
      redis.call('HSET', KEYS[3], day, string.format('%.0f', late))
    end
  end
else
  last = at
end
local id = string.format('%.0f', last)
redis.call('XADD', KEYS[2], id .. '-' .. string.format('%.0f', seq), 'r', ARGV[1])
redis.call('HSET', KEYS[3], 'last', id, 'seq', string.format('%.0f', seq))
return 1
