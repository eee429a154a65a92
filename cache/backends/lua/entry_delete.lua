-- Forget answers.
--
-- KEYS, ARGV[1] as in entry.lua
-- ARGV[2...]  ids
-- Returns   how many of them were there.
--
-- Invariant: nothing of these ids is left.

local dropped = 0
for at = 2, #ARGV do
  dropped = dropped + drop(ARGV[at])
end
return dropped
