-- Hold the first demand that fits every meter, or nothing.
--
-- KEYS[1]   sorted set of the open holds by the end of their lease (milliseconds since the epoch)
-- KEYS[2]   the hold
-- KEYS[3..] the meters
-- ARGV[1]   packed: seven values a meter, see counter.lua
-- ARGV[2]   packed: two values a meter, the bucket under way and the latest bucket of a late clock
-- ARGV[3]   packed: id of the hold, token of this attempt, end of the lease (ms since the epoch), lease (ms), then one
--           list a demand: requests, input tokens, output tokens, micro-dollars
-- ARGV[4]   digest of the meters' keys
-- Returns   packed: a grant (see counter.lua);
--           or 0, then a list {demand from 1, place of the meter from 1, used, bucket to wait for or -1, newest bucket
--           or -1} for every meter that a demand does not fit;
--           or -1 when the attempt was taken back before it arrived; or -2 and the place of a meter that had another unit
--           or window. For a hold that is open already: a list of the grant it was
--           given and the packed meters it was given for.
--
-- Invariant: t + demand <= cap for every meter whose demand is above 0, or nothing is added anywhere.

local known = redis.call('HMGET', KEYS[2], 'g', 'v', 'k')
if known[1] then
  return {known[1], known[3]}
end
local call = cmsgpack.unpack(ARGV[3])
if known[2] == call[2] then
  return cmsgpack.pack({-1})
end
local meters, now, counters = cmsgpack.unpack(ARGV[1]), cmsgpack.unpack(ARGV[2]), {}
local count = #KEYS - 2
for i = 1, count do
  local at = (i - 1) * 7
  local c = look(KEYS[i + 2], meters[at + 5], meters[at + 6], now[2 * i - 1], now[2 * i])
  if not c then
    return cmsgpack.pack({-2, i})
  end
  counters[i] = c
end

local refusals = {0}
for tier = 1, #call - 4 do
  local demand, fits = call[tier + 4], true
  demand[5] = 1
  for i = 1, count do
    local at = (i - 1) * 7
    local amount, c = demand[meters[at + 2]], counters[i]
    if amount > 0 and c.t + amount > meters[at + 3] then
      fits = false
      refusals[#refusals + 1] = {tier, i, c.t, wait(c, amount, meters[at + 3], nil, 0), newest(c)}
    end
  end
  if fits then
    local held = {ARGV[4]}
    for i = 1, count do
      local at = (i - 1) * 7
      local unit = meters[at + 2]
      add(counters[i], demand[unit], meters[at + 7])
      held[2 * i], held[2 * i + 1] = unit, counters[i].at
    end
    demand[5] = nil
    local granted = grant(tier - 1, meters, counters)
    if known[2] then
      redis.call('DEL', KEYS[2])
    end
    redis.call('HSET', KEYS[2], 'b', cmsgpack.pack(held), 'd', cmsgpack.pack(demand), 'g', granted, 'k', ARGV[1],
      'v', call[2], 'l', call[4])
    redis.call('ZADD', KEYS[1], call[3], call[1])
    return granted
  end
end
return cmsgpack.pack(refusals)
