-- Drop some of what has expired.
--
-- KEYS, ARGV[1] as in record.lua
-- ARGV[2]   now, seconds since the epoch
-- ARGV[3]   how many records may be dropped in this step
-- Returns   how many were.
--
-- Invariant: nothing goes before it expires.

return expire(ARGV[2], tonumber(ARGV[3]))
