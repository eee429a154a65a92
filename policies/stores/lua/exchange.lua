-- Replace what a hold holds by another ceiling, on the same meters or on others, or change nothing.
--
-- KEYS[1]   the hold
-- KEYS[2..] its meters, then the new meters; a meter that is both stands twice
-- ARGV[1]   packed: seven values a new meter, see counter.lua
-- ARGV[2]   packed: two values a new meter, the bucket under way and the latest bucket of a late clock
-- ARGV[3]   packed: number of the hold's meters, the new demand (requests, input tokens, output tokens, micro-dollars),
--           then for each new meter its place from 1 among the hold's meters, 0 where it is not among them
-- ARGV[4]   digest of the hold's meters' keys
-- ARGV[5]   digest of the new meters' keys
-- Returns   packed: a grant with tier 0 or 0 and the meters that do not fit or -2 and a place, as reserve.lua does; or
--           -3 when no such hold is open; or -4 when it has other meters.
--
-- Invariant: the new demand fits with the old one taken out, or nothing changes. A demand that is not larger counts where
-- the old one did; a larger one whose bucket has left its window counts whole in the bucket under way.

local hold = redis.call('HMGET', KEYS[1], 'b', 'd')
if not hold[1] then
  return cmsgpack.pack({-3})
end
local held = cmsgpack.unpack(hold[1])
if held[1] ~= ARGV[4] then
  return cmsgpack.pack({-4})
end
local before = cmsgpack.unpack(hold[2])
local meters, now, call = cmsgpack.unpack(ARGV[1]), cmsgpack.unpack(ARGV[2]), cmsgpack.unpack(ARGV[3])
local old, demand = call[1], call[2]
before[5], demand[5] = 1, 1

local counters, plan, refusals, kept = {}, {}, {0}, {}
for i = 1, #KEYS - 1 - old do
  local at, key = (i - 1) * 7, KEYS[1 + old + i]
  local c = look(key, meters[at + 5], meters[at + 6], now[2 * i - 1], now[2 * i])
  if not c then
    return cmsgpack.pack({-2, i})
  end
  local unit, place = meters[at + 2], call[2 + i]
  local amount, bucket, was = demand[unit], nil, 0
  if place > 0 then
    kept[place] = true
    bucket, was = held[2 * place + 1], before[unit]
  end
  local is_live = bucket and redis.call('HEXISTS', key, bucket) == 1
  local is_raised = amount > was
  local mine = is_live and was or 0
  if is_raised and c.t - mine + amount > meters[at + 3] then
    refusals[#refusals + 1] = {1, i, c.t, wait(c, amount, meters[at + 3], bucket, mine), newest(c)}
  end
  counters[i] = c
  plan[i] = {amount = amount, was = was, bucket = bucket, opens = not bucket or (is_raised and not is_live)}
end
if #refusals > 1 then
  return cmsgpack.pack(refusals)
end

for place = 1, old do
  if not kept[place] then
    change(KEYS[1 + place], held[2 * place + 1], -before[held[2 * place]])
  end
end
local holds = {ARGV[5]}
for i, step in ipairs(plan) do
  local at, c = (i - 1) * 7, counters[i]
  if step.opens then
    add(c, step.amount, meters[at + 7])
    step.bucket = c.at
  else
    c.t = c.t + change(c.key, step.bucket, step.amount - step.was)
  end
  holds[2 * i], holds[2 * i + 1] = meters[at + 2], step.bucket
end
demand[5] = nil
local granted = grant(0, meters, counters)
redis.call('HSET', KEYS[1], 'b', cmsgpack.pack(holds), 'd', cmsgpack.pack(demand), 'g', granted, 'k', ARGV[1])
return granted
