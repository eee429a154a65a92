-- What the verbs on meters share; it is put in front of each of them.
--
-- A meter is a hash:
--   w         unit and window, as text; another text is another meter and is refused
--   t         what is used: the sum of the buckets, 0 to 2^53
--   o, n      the oldest bucket that may hold something, and the newest that was opened
--   s         what is added to the bucket ids of the callers' clocks to get the ids used here; absent for 0
--   <number>  what counts in the bucket of that id
-- Bucket ids are computed by the callers, who know time zones; here they only ascend. A bucket counts while
-- id >= at - span, where `at` is the bucket under way and `span` the number of older buckets that count (0 for calendar
-- and total windows, which have one bucket).
--
-- Invariant: t is the sum of the buckets, and neither is ever below 0.

local MOST = 9007199254740992

-- Bring a meter up to the moment of a caller's clock: what has left the window is taken out and never comes back.
-- `cur` is the bucket under way by that clock, `ahead` the latest bucket that may be under way here while that clock
-- is taken to be late; beyond it the clock has jumped back and all ids are read that much lower from now on.
-- Returns the counter, or nil when the meter had another unit or window.
local function look(key, sig, span, cur, ahead)
  local f = redis.call('HMGET', key, 'w', 't', 'o', 'n', 's', cur)
  if not f[1] then
    return {t = 0, at = cur, s = 0, span = span, key = key, sig = sig}
  end
  if f[1] ~= sig then
    return nil
  end
  local t, o, n, s = tonumber(f[2]), tonumber(f[3]), tonumber(f[4]), tonumber(f[5] or 0)
  local at = cur + s
  if at < n then
    if n - s > ahead then
      s = n - cur
      redis.call('HSET', key, 's', s)
    end
    at = n
  end
  local left = at - span
  if left > n then
    redis.call('DEL', key)
    return {t = 0, at = cur, s = 0, span = span, key = key, sig = sig}
  end
  if left > o then
    local ids = {}
    for id = o, left - 1 do
      ids[#ids + 1] = id
    end
    for _, amount in ipairs(redis.call('HMGET', key, unpack(ids))) do
      t = t - tonumber(amount or 0)
    end
    t, o = math.max(0, t), left
    redis.call('HDEL', key, unpack(ids))
    redis.call('HSET', key, 't', t, 'o', o)
  end
  local amount = f[6]
  if at ~= cur then
    amount = redis.call('HGET', key, at)
  end
  return {t = t, at = at, s = s, span = span, key = key, sig = sig, o = o, n = n, amount = tonumber(amount or nil)}
end

-- Count an amount in the bucket under way, opening it if need be. `ttl` is in milliseconds, 0 for never.
local function add(c, amount, ttl)
  c.t = math.min(MOST, c.t + amount)
  if c.amount then
    c.amount = c.amount + amount
    redis.call('HSET', c.key, 't', c.t, c.at, c.amount)
    return
  end
  c.amount, c.n, c.o = amount, c.at, c.o or c.at
  redis.call('HSET', c.key, 'w', c.sig, 't', c.t, 'o', c.o, 'n', c.n, c.at, amount)
  if ttl > 0 then
    redis.call('PEXPIRE', c.key, ttl)
  end
end

-- Change what counts in a bucket; nothing where it has left the window. Returns by how much the total changed.
local function change(key, bucket, by)
  local f = redis.call('HMGET', key, 't', bucket)
  if not f[2] or by == 0 then
    return 0
  end
  local t, amount = tonumber(f[1]), tonumber(f[2])
  by = math.min(math.max(by, -amount), MOST - t)
  if bucket == 0 and t + by <= 0 then
    redis.call('DEL', key)
  else
    redis.call('HSET', key, 't', math.max(0, t + by), bucket, amount + by)
  end
  return by
end

-- Return the bucket, by the caller's clock, that must leave before an amount fits; -1 where none does.
local function wait(c, amount, cap, held_in, held)
  if not c.n or amount > cap then
    return -1
  end
  if c.span == 0 then
    return c.n - c.s
  end
  local excess, ids = c.t - held + amount - cap, {}
  for id = c.o, c.n do
    ids[#ids + 1] = id
  end
  for i, counted in ipairs(redis.call('HMGET', c.key, unpack(ids))) do
    excess = excess - tonumber(counted or 0)
    if ids[i] == held_in then
      excess = excess + held
    end
    if excess <= 0 then
      return ids[i] - c.s
    end
  end
  return -1
end

-- Return the newest bucket of a meter by the caller's clock, -1 where there is none.
local function newest(c)
  return c.n and c.n - c.s or -1
end

-- Pack a grant: 1, tier, then three numbers a standing (place of the meter from 1, used, newest bucket): the tightest of
-- all, of requests, of tokens, of micro-dollars (place 0 where there is none), then every meter past its soft threshold.
-- `meters` has seven values a meter: key, unit 1 to 5, cap, soft or -1, text of unit and window, span, ttl.
local GROUPS = {1, 2, 2, 3, 4}

local function grant(tier, meters, counters)
  local reply = {1, tier, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
  local share, least = 2, {MOST, MOST, MOST, MOST}
  for i, c in ipairs(counters) do
    local at = (i - 1) * 7
    local cap, soft, group = meters[at + 3], meters[at + 4], GROUPS[meters[at + 2]]
    local left = cap - c.t
    local part = cap > 0 and left / cap or 0
    if part < share then
      share, reply[3], reply[4], reply[5] = part, i, c.t, newest(c)
    end
    if left < least[group] and group < 4 then
      local place = 3 + 3 * group
      least[group], reply[place], reply[place + 1], reply[place + 2] = left, i, c.t, newest(c)
    end
    if soft >= 0 and c.t >= soft then
      reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = i, c.t, newest(c)
    end
  end
  return cmsgpack.pack(reply)
end

-- Close the hold in KEYS[2], whose id is ARGV[1] and whose meters are KEYS[3..], and change them by `sign` times the
-- amounts, which stand in the order of the units. `held` is what the hold remembers of its meters, after a digest.
local function close(held, amounts, sign)
  for i = 1, (#held - 1) / 2 do
    local by = sign * amounts[held[2 * i]]
    if by ~= 0 then
      change(KEYS[i + 2], held[2 * i + 1], by)
    end
  end
  redis.call('DEL', KEYS[2])
  redis.call('ZREM', KEYS[1], ARGV[1])
end
