-- What the verbs on keys share; it is put in front of each of them, whose KEYS, ARGV and Returns stand there.
--
-- Invariant: a name stands in KEYS[2] exactly while a key that is not revoked has it, and the number in KEYS[3] never
-- comes twice, not even after Redis has lost what it knew: it is the time in microseconds, or one more than the last.

local function name_of(key)
  return #key.team .. ':' .. key.team .. '/' .. key.name
end

local function note_change()
  local time = redis.call('TIME')
  local version = math.max(tonumber(redis.call('GET', KEYS[3]) or 0) + 1, time[1] * 1000000 + time[2])
  redis.call('SET', KEYS[3], string.format('%.0f', version))
end
