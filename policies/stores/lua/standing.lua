-- Say how meters stand.
--
-- KEYS      the meters
-- ARGV[1]   packed: seven values a meter, see counter.lua
-- ARGV[2]   packed: two values a meter, the bucket under way and the latest bucket of a late clock
-- Returns   packed: two values a meter, used and newest bucket or -1; or -2 and the place of a meter that had another
--           unit or window.
--
-- Invariant: nothing is counted; what has left a window is taken out.

local meters, now, reply = cmsgpack.unpack(ARGV[1]), cmsgpack.unpack(ARGV[2]), {}
for i = 1, #KEYS do
  local at = (i - 1) * 7
  local c = look(KEYS[i], meters[at + 5], meters[at + 6], now[2 * i - 1], now[2 * i])
  if not c then
    return cmsgpack.pack({-2, i})
  end
  reply[2 * i - 1], reply[2 * i] = c.t, newest(c)
end
return cmsgpack.pack(reply)
